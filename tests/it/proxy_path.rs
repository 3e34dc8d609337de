//! The proxied path over real sockets: a raw client, the guard and the proxy behind actix-web, a raw upstream.

mod bodies;
mod failures;
mod gateway;
mod headers;
mod http2;
mod paths;
mod patience;
mod replays;
mod sockets;
mod upstreams;
