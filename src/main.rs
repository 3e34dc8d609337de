//! The command; see `cloakroom --help`.

fn main() -> std::process::ExitCode {
    cloakroom::cli::main()
}
