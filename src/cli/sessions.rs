//! `cloakroom sessions`: lists and ends sessions, and says which keys are still needed.

mod place;
mod table;

use std::collections::HashSet;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use self::place::Place;
use super::read;
use super::result::{Failed, json_line, say, say_all};
use crate::app::{self, ListedSession, Target};
use crate::clock::Clock;
use crate::config::{Config, Origin};
use crate::telemetry;

/// `sessions` and what follows it.
#[derive(Debug, Args)]
pub(super) struct Sessions {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List live sessions
    List {
        #[command(flatten)]
        scope: Scope,
        /// Only the sessions of the user that the provider calls this (`sub`)
        #[arg(long, allow_hyphen_values = true, value_name = "S")]
        subject: Option<String>,
        /// Every session, as without --subject
        #[arg(long, conflicts_with = "subject")]
        all: bool,
    },
    /// End sessions; their tokens are deleted, not revoked at the provider
    Revoke {
        #[command(flatten)]
        scope: Scope,
        #[command(flatten)]
        chosen: Chosen,
    },
    /// Count the live sessions that each key still holds; a key that counts none can be dropped
    Keys {
        #[command(flatten)]
        scope: Scope,
    },
}

#[derive(Debug, Args)]
struct Scope {
    /// A configuration file; may be repeated, later files add sites
    #[arg(long = "config", value_name = "FILE", required = true)]
    config: Vec<PathBuf>,
    /// Only this site; without it, all of them
    #[arg(long, value_name = "ORIGIN")]
    site: Option<String>,
    /// JSON, one object a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Chosen {
    /// The sessions of the user that the provider calls this (`sub`)
    #[arg(long, allow_hyphen_values = true, value_name = "S")]
    subject: Option<String>,
    /// Every session
    #[arg(long)]
    all: bool,
    /// The one session that logs and lists call this
    #[arg(long, allow_hyphen_values = true, value_name = "NAME")]
    session: Option<String>,
}

/// Does what was asked for, in the shared store or through the gateway that holds the embedded one.
pub(super) fn run(sessions: Sessions) -> Result<(), Failed> {
    match sessions.command {
        Command::List { scope, subject, .. } => scope.work(async |place, scope| {
            let found = collect(place, scope, subject.as_deref()).await?;
            list(&found, scope.json)
        }),
        Command::Revoke { scope, chosen } => scope.work(async |place, scope| {
            let target = match chosen {
                Chosen { subject: Some(subject), .. } => Target::Subject(subject),
                Chosen { session: Some(session), .. } => Target::Session(session),
                Chosen { .. } => Target::All,
            };
            let ended = place.revoke(scope.site.as_deref(), &target).await?;
            match (scope.json, ended) {
                (true, _) => say(&json_line(&serde_json::json!({ "ended": ended }))),
                (false, 1) => say("1 session ended"),
                (false, _) => say(&format!("{ended} sessions ended")),
            }
        }),
        Command::Keys { scope } => scope.work(async |place, scope| keys(place, scope).await),
    }
}

impl Scope {
    /// Reads the configuration, finds the place, and works there.
    fn work(self, work: impl AsyncFnOnce(&Place, &Self) -> Result<(), Failed>) -> Result<(), Failed> {
        let config: Config = read(&self.config)?;
        telemetry::start(&config.log).map_err(Failed::because)?;
        app::run(async {
            let place = Place::of(&config)?;
            work(&place, &self).await
        })
    }
}

/// Every page, each session once.
async fn collect(place: &Place, scope: &Scope, subject: Option<&str>) -> Result<Vec<ListedSession>, Failed> {
    let (mut found, mut seen, mut cursor) = (Vec::new(), HashSet::new(), None);
    loop {
        let page = place.list(scope.site.as_deref(), subject, cursor.as_deref()).await?;
        found.extend(page.sessions.into_iter().filter(|one| seen.insert((one.site.clone(), one.session.clone()))));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    found.sort_by(|a, b| {
        let order = |one: &ListedSession| (one.site.clone(), one.subject.clone(), one.created_at);
        order(a).cmp(&order(b))
    });
    Ok(found)
}

fn list(found: &[ListedSession], json: bool) -> Result<(), Failed> {
    if json {
        say_all(found.iter().map(json_line))
    } else if found.is_empty() {
        say("no live sessions")
    } else {
        say_all(table::of_sessions(found, Clock::System.now().as_secs()))
    }
}

async fn keys(place: &Place, scope: &Scope) -> Result<(), Failed> {
    let mut report = place.keys().await?;
    if let Some(site) = &scope.site {
        let origin = Origin::parse(site).map(|origin| origin.to_string());
        report.keys.retain(|count| origin.as_ref().is_ok_and(|origin| count.site == *origin));
        if report.keys.is_empty() {
            return Err(Failed::because(format!("no site of the configuration has the origin {site}")));
        }
    }
    if scope.json {
        return say_all(report.keys.iter().map(json_line));
    }
    say_all(table::of_keys(&report.keys))?;
    say("")?;
    say(
        "A key that seals no session can be dropped. These are the records in the store; a browser's cookie is sealed",
    )?;
    say("anew when its page next asks /bff/session, and one that never does is logged out with its old key.")?;
    if report.unknown > 0 {
        let unknown = report.unknown;
        say(&format!("{unknown} more in this store are under keys that this configuration does not have."))?;
    }
    Ok(())
}
