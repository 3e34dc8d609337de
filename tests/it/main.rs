//! The integration tests: one binary that drives the real gateway with a real provider, a real Redis and a real browser.

#![expect(clippy::print_stderr, reason = "what a child process wrote belongs next to the failure")]
#![expect(clippy::panic, reason = "a panic is how a test fails")]
#![expect(unreachable_pub, reason = "the support modules are the only readers of each other")]

mod activity;
mod admin;
mod answers;
mod backchannel;
mod browser_journeys;
mod callback;
mod client_auth;
mod client_js;
mod commands;
mod conformance;
mod cookies;
mod dev_own_login;
mod dev_profiles;
mod dev_provider;
mod dev_response_modes;
mod doctor;
mod door_tls;
mod dpop;
mod events;
mod framing;
mod frontchannel;
mod health_command;
mod hostile;
mod hosts;
mod login;
mod logout;
mod logout_pages;
mod metrics;
mod oauth2;
mod outages;
mod own_paths;
mod par;
mod provider_client;
mod proxy;
mod proxy_path;
mod rate_limits;
mod refresh;
mod refresh_answers;
mod relay;
mod reload;
mod replay;
mod replicas;
mod resources;
mod roster;
mod same_origin;
mod same_origin_matrix;
mod secrets_in_logs;
mod session;
mod sessions_command;
mod several_providers;
mod slow_browsers;
mod spa_files;
mod step_up;
mod store_contract;
mod streaming;
mod support;
mod support_itself;
mod tidy;
mod tutorials;
mod userinfo;
mod websocket;
