//! `cloakroom doctor`: `check`, then one line for each thing the gateway depends on.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::read;
use super::result::{Failed, json_line, say, say_all};
use crate::app::{self, Finding};
use crate::config;
use crate::telemetry::plain;

/// `doctor` and what follows it.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// A configuration file; may be repeated, later files add sites
    #[arg(long = "config", value_name = "FILE", required = true)]
    config: Vec<PathBuf>,
    /// JSON: one object, with every finding
    #[arg(long)]
    json: bool,
}

/// Succeeds when everything passes.
pub(super) fn run(doctor: Doctor) -> Result<(), Failed> {
    if doctor.json { run_json(&doctor.config) } else { run_text(&doctor.config) }
}

fn run_text(files: &[PathBuf]) -> Result<(), Failed> {
    let config = read(files)?;
    say(config.route_table().trim_end())?;
    say("")?;
    let findings = app::run(app::examine(&config));
    let line = |Finding { part, name, outcome }: &Finding| match outcome {
        Ok(found) => format!("pass  {part:<9} {name}: {found}"),
        Err(trouble) => format!("FAIL  {part:<9} {name}: {} → {}", trouble.wrong, trouble.remedy),
    };
    say_all(findings.iter().map(|finding| plain(&line(finding))))?;
    verdict(&findings)
}

fn run_json(files: &[PathBuf]) -> Result<(), Failed> {
    let (findings, faults) = match config::read(files, &config::process_environment) {
        Ok(config) => (app::run(app::examine(&config)), Vec::new()),
        Err(faults) => (Vec::new(), faults.0),
    };
    let found = findings.iter().map(|Finding { part, name, outcome }| match outcome {
        Ok(found) => json!({ "part": part, "name": name, "status": "pass", "found": found }),
        Err(trouble) => {
            json!({ "part": part, "name": name, "status": "fail", "wrong": trouble.wrong, "remedy": trouble.remedy })
        }
    });
    let wrong = faults.iter().map(|fault| {
        let line = fault.line.map(|line| format!(":{line}")).unwrap_or_default();
        let name = format!("{}{line}: {}", fault.file.display(), fault.key);
        json!({ "part": "configuration", "name": name, "status": "fail", "wrong": fault.wrong, "remedy": fault.remedy })
    });
    let checks: Vec<_> = wrong.chain(found).collect();
    let healthy = faults.is_empty() && findings.iter().all(|finding| finding.outcome.is_ok());
    say(&json_line(&json!({ "ok": healthy, "checks": checks })))?;
    if !faults.is_empty() {
        return Err(Failed::because("the configuration is faulty"));
    }
    verdict(&findings)
}

fn verdict(findings: &[Finding]) -> Result<(), Failed> {
    match findings.iter().filter(|finding| finding.outcome.is_err()).count() {
        0 => Ok(()),
        1 => Err(Failed::because("1 check failed")),
        count => Err(Failed::because(format!("{count} checks failed"))),
    }
}
