//! The command line: what the words mean, where results and faults go, and the exit status.
//!
//! Results go to standard output, faults and logs to standard error. The status is 0 when it is done, 1 when a fault was
//! found or it failed, 2 for wrong usage.

mod doctor;
mod health;
mod listener;
mod result;
mod serve;
mod sessions;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};

use self::result::{Failed, say};
use crate::app;
use crate::config::{self, Config, Faults, LogConfig, LogFormat, LogLevel};
use crate::dev::provider::Profile;
use crate::dev::{self, DevOptions};
use crate::secret::MasterKey;
use crate::telemetry;

/// A backend-for-frontend session gateway: OAuth tokens stay on the server, the browser gets one encrypted cookie.
#[derive(Debug, Parser)]
#[command(name = "cloakroom", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything on loopback with nothing to install or configure: login service, API and two demo sites
    Dev(Dev),
    /// Run the gateway
    Serve(Files),
    /// Read the configuration, print every fault with its remedy, then the routes; contacts nothing
    Check(Files),
    /// Check the configuration, then ask store, providers and upstreams whether they can be used
    Doctor(doctor::Doctor),
    /// Print a fresh 256-bit key
    Keygen,
    /// List or end sessions, and count them by key
    Sessions(sessions::Sessions),
    /// Ask a running gateway's admin listener whether it is ready, for container health checks
    Health(MaybeFiles),
}

#[derive(Debug, Args)]
struct Dev {
    /// The port of both demo sites
    #[arg(long, value_name = "N", default_value_t = 8080)]
    port: u16,
    /// Your own single-page app instead of the demo: a directory, or the URL of its development server
    #[arg(long, value_name = "DIR|URL")]
    spa: Option<String>,
    /// Your own API instead of the demo
    #[arg(long, value_name = "URL")]
    api: Option<String>,
    /// Let the login service play a provider people have, with its peculiarities; without it, it is a strict one
    #[arg(long, value_name = "NAME", value_parser = profile())]
    profile: Option<&'static Profile>,
    /// How long access tokens live, in seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(2..=86_400))]
    token_lifetime: Option<u64>,
}

/// The names of the profiles; any other is wrong usage, answered with all of them.
fn profile() -> impl TypedValueParser<Value = &'static Profile> {
    let unknown = "there is no such profile";
    PossibleValuesParser::new(Profile::names()).try_map(move |name| Profile::named(&name).ok_or(unknown))
}

#[derive(Debug, Args)]
struct Files {
    /// A configuration file; may be repeated, later files add sites
    #[arg(long = "config", value_name = "FILE", required = true)]
    config: Vec<PathBuf>,
}

#[derive(Debug, Args)]
struct MaybeFiles {
    /// The configuration file of the gateway to ask; without it, the default admin address is asked
    #[arg(long = "config", value_name = "FILE")]
    config: Vec<PathBuf>,
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Cli::try_parse() {
        Ok(Cli { command }) => run(command),
        Err(instead) if instead.use_stderr() => instead.exit(),
        Err(help) => say(help.render().to_string().trim_end()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed) => ExitCode::FAILURE,
    }
}

fn run(command: Command) -> Result<(), Failed> {
    match command {
        Command::Dev(dev) => run_dev(dev),
        Command::Serve(files) => serve::run(files.config),
        Command::Check(files) => say(read(&files.config)?.route_table().trim_end()),
        Command::Doctor(doctor) => doctor::run(doctor),
        Command::Keygen => say(&URL_SAFE_NO_PAD.encode(MasterKey::random().expose())),
        Command::Sessions(wanted) => sessions::run(wanted),
        Command::Health(files) => health::ask(&files.config),
    }
}

fn read(files: &[PathBuf]) -> Result<Config, Failed> {
    config::read(files, &config::process_environment).map_err(refused)
}

/// Prints the faults of a configuration.
fn refused(faults: Faults) -> Failed {
    // Nobody is left to tell when standard error is gone.
    let _ = writeln!(std::io::stderr(), "{faults}");
    Failed
}

fn run_dev(options: Dev) -> Result<(), Failed> {
    let Dev { port, spa, api, profile, token_lifetime } = options;
    let token_lifetime = token_lifetime.map(Duration::from_secs);
    let options = DevOptions { port, spa, api, profile, token_lifetime };
    telemetry::start(&LogConfig { format: LogFormat::Text, level: LogLevel::Info }).map_err(Failed::because)?;
    app::run(async move {
        // It runs for whoever opens its pages, whether or not somebody reads what it says.
        let tell = |text: &str| drop(say(text));
        dev::run(options, tell, serve::stop_signal()?).await.map_err(Failed::because)
    })
}
