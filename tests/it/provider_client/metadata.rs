//! Metadata: what is not believed, and how a provider that is down is treated.

use std::time::Duration;

use cloakroom::config::WrittenEndpoints;
use cloakroom::provider::{LoginHints, Provider, ProviderStatus};
use cloakroom::secret::{AccessToken, RefreshToken, State};
use serde_json::{Value, json};

use super::hostile::{Hostile, Manner, Reply, attempt, oidc_of, redeem, refresh};

const DOCUMENT: &str = "/.well-known/openid-configuration";

async fn start_login(client: &Provider) -> Result<url::Url, String> {
    client.authorization_url(&attempt(), &LoginHints::default()).await.map_err(|error| error.to_string())
}

async fn refused(change: impl FnOnce(&mut Value)) {
    let op = Hostile::start().await;
    op.metadata(change);
    let client = op.client();
    let error = start_login(&client).await.unwrap_err();
    assert!(matches!(client.status(), ProviderStatus::Down(_)));
    assert!(op.login().await.is_err() && op.count("/token") == 0, "the document was used: {error}");
}

#[tokio::test]
async fn nothing_is_fetched_before_it_is_needed() {
    let op = Hostile::start().await;
    let client = op.client();
    assert_eq!(client.status(), ProviderStatus::Unknown);
    assert_eq!(op.count(DOCUMENT), 0);
    start_login(&client).await.unwrap();
    assert_eq!(client.status(), ProviderStatus::Ready);
    assert_eq!((op.count(DOCUMENT), op.count("/jwks")), (1, 0));
}

#[tokio::test]
async fn metadata_of_another_issuer_are_refused() {
    refused(|metadata| metadata["issuer"] = "https://evil.example".into()).await;
    refused(|metadata| metadata["issuer"] = format!("{}/", metadata["issuer"].as_str().unwrap()).into()).await;
    refused(|metadata| metadata["issuer"] = metadata["issuer"].as_str().unwrap().replace("http", "HTTP").into()).await;
    refused(|metadata| metadata["issuer"] = json!([metadata["issuer"]])).await;
    refused(|metadata| drop(metadata.as_object_mut().unwrap().remove("issuer"))).await;
}

#[tokio::test]
async fn an_endpoint_without_tls_is_refused() {
    for name in [
        "authorization_endpoint",
        "token_endpoint",
        "jwks_uri",
        "end_session_endpoint",
        "revocation_endpoint",
        "userinfo_endpoint",
    ] {
        for url in ["http://id.example/x", "ftp://127.0.0.1/x", "javascript:alert(1)", "/x", "https://u:p@id.example/x"]
        {
            refused(|metadata| metadata[name] = url.into()).await;
        }
        refused(|metadata| metadata[name] = 7.into()).await;
    }
    refused(|metadata| metadata["token_endpoint"] = "https://id.example/x#y".into()).await;
}

#[tokio::test]
async fn a_missing_endpoint_is_refused() {
    for name in ["authorization_endpoint", "token_endpoint", "jwks_uri"] {
        refused(|metadata| drop(metadata.as_object_mut().unwrap().remove(name))).await;
    }
}

#[tokio::test]
async fn metadata_that_lack_s256_are_refused_but_silence_is_not() {
    refused(|metadata| metadata["code_challenge_methods_supported"] = json!(["plain"])).await;
    refused(|metadata| metadata["code_challenge_methods_supported"] = json!([])).await;
    refused(|metadata| metadata["code_challenge_methods_supported"] = json!("S256")).await;
    let op = Hostile::start().await;
    op.metadata(|metadata| drop(metadata.as_object_mut().unwrap().remove("code_challenge_methods_supported")));
    let url = start_login(&op.client()).await.unwrap();
    assert!(url.as_str().contains("code_challenge_method=S256"));
}

#[tokio::test]
async fn an_endpoint_that_is_written_counts_for_more_than_the_document_and_fills_in_what_that_lacks() {
    let op = Hostile::start().await;
    let at = |path: &str| Some(url::Url::parse(&format!("{}{path}", op.issuer())).unwrap());
    let client = || {
        op.client_with(|config| {
            let oidc = oidc_of(config);
            oidc.userinfo = true;
            oidc.userinfo_endpoint = at("/my/userinfo");
            oidc.endpoints =
                WrittenEndpoints { revocation: at("/my/revoke"), end_session: at("/my/logout"), pushed: at("/my/par") };
        })
    };
    op.set("/my/par", Reply::json(201, &json!({ "request_uri": "urn:x", "expires_in": 60 })));
    op.set("/my/userinfo", Reply::json(200, &json!({ "sub": "alice", "email": "written@example.com" })));
    op.set("/my/revoke", Reply::raw(200, ""));
    for lacking in [false, true] {
        op.metadata(|metadata| {
            for name in ["revocation", "end_session", "userinfo", "pushed_authorization_request"] {
                metadata[format!("{name}_endpoint")] =
                    if lacking { Value::Null } else { format!("{}/theirs/{name}", op.issuer()).into() };
            }
        });
        let client = client();
        assert!(start_login(&client).await.unwrap().as_str().contains("request_uri=urn"));
        let grant = redeem(&client).await.unwrap();
        assert_eq!(grant.user.claims()["email"], "written@example.com");
        assert_eq!(client.logout_url(None, &State::random()).await.unwrap().path(), "/my/logout");
        client.give_back(&AccessToken::new("at-1"), Some(&RefreshToken::new("rt-1")), None).await.unwrap();
    }
    assert_eq!(["/my/par", "/my/userinfo", "/my/revoke"].map(|path| op.count(path)), [2; 3]);
}

#[tokio::test]
async fn repeated_members_of_the_metadata_are_refused() {
    let op = Hostile::start().await;
    let twice = format!(r#"{{"issuer":"https://evil.example","issuer":"{}"}}"#, op.issuer());
    op.set(DOCUMENT, Reply::raw(200, twice));
    assert!(start_login(&op.client()).await.is_err());
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let op = Hostile::start().await;
    for status in [301, 302, 307, 308] {
        let mut reply = Reply::raw(status, "");
        reply.headers = format!("Location: {}/elsewhere\r\n", op.issuer());
        op.set(DOCUMENT, reply);
        let error = start_login(&op.client()).await.unwrap_err();
        assert!(error.contains(&status.to_string()), "{error}");
    }
    assert_eq!(op.count("/elsewhere"), 0);
}

#[tokio::test]
async fn an_oversized_document_is_cut_off() {
    let op = Hostile::start().await;
    let endless = format!(r#"{{"issuer":"{}","padding":"{}"}}"#, op.issuer(), "x".repeat(2 * 1024 * 1024));
    for manner in [Manner::Promptly, Manner::Unannounced] {
        op.set(DOCUMENT, Reply::raw(200, endless.clone()).with(manner));
        assert!(start_login(&op.client()).await.unwrap_err().contains("larger"));
    }
}

#[tokio::test]
async fn a_slow_or_silent_provider_costs_no_more_than_the_time_limit() {
    for manner in [Manner::Never, Manner::Dripping(Duration::from_millis(20))] {
        let op = Hostile::start().await;
        let mut reply = Reply::json(200, &json!({ "issuer": op.issuer(), "padding": "x".repeat(1000) }));
        reply = reply.with(manner);
        op.set(DOCUMENT, reply);
        let client = op.client_with(|config| config.timeout = Duration::from_millis(300));
        let started = tokio::time::Instant::now();
        assert!(start_login(&client).await.unwrap_err().contains("time limit"));
        assert!(started.elapsed() < Duration::from_secs(3));
    }
}

#[tokio::test]
async fn simultaneous_callers_share_one_fetch() {
    let op = Hostile::start().await;
    op.metadata(|_| {});
    let mut document = Reply::json(200, &json!({}));
    document.manner = Manner::After(Duration::from_millis(200));
    op.set(DOCUMENT, document);
    let client = op.client();
    let fifty = (0..50).map(|_| start_login(&client));
    let outcomes = futures_util::future::join_all(fifty).await;
    assert!(outcomes.iter().all(Result::is_err));
    assert_eq!(op.count(DOCUMENT), 1, "failures are shared");
    op.clock.advance(Duration::from_secs(1));
    op.metadata(|_| {});
    let outcomes = futures_util::future::join_all((0..50).map(|_| start_login(&client))).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(op.count(DOCUMENT), 2, "and so are successes");
}

#[tokio::test]
async fn a_caller_who_goes_away_does_not_stop_the_fetch() {
    let op = Hostile::start().await;
    let document = Reply::json(200, &json!({})).with(Manner::After(Duration::from_millis(300)));
    op.set(DOCUMENT, document);
    let client = op.client();
    assert!(tokio::time::timeout(Duration::from_millis(50), start_login(&client)).await.is_err());
    assert!(start_login(&client).await.is_err());
    assert_eq!(op.count(DOCUMENT), 1);
}

#[tokio::test]
async fn a_dead_provider_is_asked_ever_more_rarely_and_heals_by_itself() {
    let op = Hostile::start().await;
    op.set(DOCUMENT, Reply::raw(503, ""));
    let client = op.client();
    for (fetches, wait) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 30), (7, 30)] {
        assert!(start_login(&client).await.is_err());
        assert_eq!(op.count(DOCUMENT), fetches);
        op.clock.advance(Duration::from_secs(wait) - Duration::from_millis(1));
        assert!(start_login(&client).await.is_err());
        assert_eq!(op.count(DOCUMENT), fetches, "asked again before {wait} s were over");
        op.clock.advance(Duration::from_millis(1));
    }
    op.metadata(|_| {});
    start_login(&client).await.unwrap();
    assert_eq!(client.status(), ProviderStatus::Ready);
}

#[tokio::test]
async fn old_metadata_serve_while_newer_ones_are_fetched_or_cannot_be() {
    let op = Hostile::start().await;
    let client = op.client();
    start_login(&client).await.unwrap();
    op.clock.advance(Duration::from_secs(3599));
    start_login(&client).await.unwrap();
    assert_eq!(op.count(DOCUMENT), 1);
    op.set(DOCUMENT, Reply::raw(500, ""));
    op.clock.advance(Duration::from_secs(1));
    start_login(&client).await.unwrap();
    while op.count(DOCUMENT) < 2 || client.status() == ProviderStatus::Ready {
        tokio::task::yield_now().await;
    }
    start_login(&client).await.unwrap();
    assert_eq!(op.count(DOCUMENT), 2, "the failure is remembered");
    op.metadata(|metadata| metadata["authorization_endpoint"] = "https://id.example/new".into());
    op.clock.advance(Duration::from_secs(1));
    while !start_login(&client).await.unwrap().as_str().starts_with("https://id.example/new") {
        tokio::task::yield_now().await;
    }
    assert_eq!((op.count(DOCUMENT), client.status()), (3, ProviderStatus::Ready));
}

#[tokio::test]
async fn the_status_tells_a_provider_that_went_down_and_came_back() {
    let op = Hostile::start().await;
    let client = op.client();
    client.warm_up().await.unwrap();
    op.set("/token", Reply::raw(500, ""));
    op.set(DOCUMENT, Reply::raw(500, ""));
    refresh(&client).await;
    assert!(matches!(client.status(), ProviderStatus::Down(_)));
    op.clock.advance(Duration::from_secs(1));
    assert!(client.warm_up().await.is_err());
    op.metadata(|_| {});
    op.clock.advance(Duration::from_secs(1));
    client.warm_up().await.unwrap();
    assert_eq!(client.status(), ProviderStatus::Ready);
}

#[tokio::test]
async fn a_login_relies_on_a_recent_answer_and_asks_for_another_after_that() {
    let op = Hostile::start().await;
    let client = op.client();
    client.check_is_there().await.unwrap();
    assert_eq!(op.count(DOCUMENT), 1);
    op.clock.advance(Duration::from_millis(1_999));
    client.check_is_there().await.unwrap();
    assert_eq!(op.count(DOCUMENT), 1, "the last answer counts");
    op.clock.advance(Duration::from_millis(1));
    op.set(DOCUMENT, Reply::raw(503, ""));
    let asked = || async { client.check_is_there().await.unwrap_err().to_string() };
    assert!(asked().await.contains("503"));
    assert!(matches!(client.status(), ProviderStatus::Down(_)));
    start_login(&client).await.expect("what is at hand stays");
    assert!(asked().await.contains("503"));
    assert_eq!(op.count(DOCUMENT), 2, "a failure counts for a moment");
    op.clock.advance(Duration::from_secs(1));
    assert!(asked().await.contains("503"));
    assert_eq!(op.count(DOCUMENT), 3);

    op.metadata(|metadata| metadata["authorization_endpoint"] = "https://id.example/new".into());
    op.clock.advance(Duration::from_secs(1));
    client.check_is_there().await.unwrap();
    assert_eq!((op.count(DOCUMENT), client.status()), (4, ProviderStatus::Ready));
    assert!(start_login(&client).await.unwrap().as_str().starts_with("https://id.example/new"));

    // Nor does a document that is none by now send anybody away: somebody answers.
    op.clock.advance(Duration::from_secs(2));
    op.set(DOCUMENT, Reply::raw(429, ""));
    client.check_is_there().await.unwrap();
    assert!(matches!(client.status(), ProviderStatus::Down(_)));
    op.metadata(|_| {});
    op.clock.advance(Duration::from_secs(2));
    client.check_is_there().await.unwrap();
    assert_eq!((op.count(DOCUMENT), client.status()), (6, ProviderStatus::Ready));

    // Any answer is a word: whoever refreshes all the time is not asked beside that.
    op.clock.advance(Duration::from_millis(1_500));
    refresh(&client).await;
    op.clock.advance(Duration::from_millis(1_500));
    client.check_is_there().await.unwrap();
    assert_eq!(op.count(DOCUMENT), 6);
}

#[tokio::test]
async fn many_logins_share_one_question_and_none_waits_long_for_it() {
    let op = Hostile::start().await;
    let client = op.client();
    let many = || futures_util::future::join_all((0..20).map(|_| client.check_is_there()));
    op.metadata(|_| {});
    assert!(many().await.iter().all(Result::is_ok));
    assert_eq!(op.count(DOCUMENT), 1);
    op.clock.advance(Duration::from_secs(15));
    op.set(DOCUMENT, Reply::raw(200, "").with(Manner::Never));
    let began = std::time::Instant::now();
    for answer in many().await {
        assert!(answer.unwrap_err().to_string().contains("no answer within 5 s"));
    }
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert_eq!(op.count(DOCUMENT), 2);
    start_login(&client).await.expect("what is at hand stays");
}

#[tokio::test]
async fn a_closed_port_is_a_provider_that_is_down() {
    let op = Hostile::start().await;
    let client = op.client_with(|config| config.issuer = "http://127.0.0.1:1".to_owned());
    assert!(start_login(&client).await.unwrap_err().contains("cannot connect"));
}
