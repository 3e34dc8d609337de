# syntax=docker/dockerfile:1
# One static binary on an empty base, run by nobody in particular. The file system may be read-only.

FROM rust:1.90-alpine AS build
# aws-lc is C and assembly; a compiler builds it.
RUN apk add --no-cache build-base linux-headers
WORKDIR /src
COPY . .
# musl links statically by default; the system's root certificates are read at run time.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --profile dist --locked --bin cloakroom && cp target/dist/cloakroom /cloakroom

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /cloakroom /cloakroom
USER 65532:65532
EXPOSE 8080
# Asks the admin listener, which the image does not expose; without curl or a shell.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
    CMD ["/cloakroom", "health", "--config", "/etc/cloakroom/gateway.toml"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/cloakroom"]
CMD ["serve", "--config", "/etc/cloakroom/gateway.toml"]
