//! The gateway's own paths: which there are, and what they can be asked with (contract section 3).

use tempfile::TempDir;

use crate::support::{Gateway, Request, Setup, free_port, send};

const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"];

/// A gateway whose providers nobody answers for.
struct Stage {
    setup: Setup,
    _gateway: Gateway,
    _dir: TempDir,
}

impl Stage {
    /// With an OpenID provider that has these lines, and further providers.
    fn with(lines: &[&str], further: &[&[&str]]) -> Self {
        let mut setup = Setup::one_site();
        let dead = format!("http://127.0.0.1:{}", free_port());
        let first = [&["client_id = \"spa\"", "client_auth = \"none\"", "issuer = \"DEAD\""], lines].concat();
        let all = std::iter::once(first).chain(further.iter().map(|lines| lines.to_vec()));
        let written = |lines: Vec<&str>| lines.iter().map(|line| line.replace("DEAD", &dead)).collect();
        setup.sites[0].providers = all.map(written).collect();
        let dir = TempDir::new().expect("a temporary directory");
        let config = setup.write(dir.path(), "", &dead);
        let gateway = Gateway::serve(&config, setup.port, setup.admin_port);
        Self { setup, _gateway: gateway, _dir: dir }
    }

    /// Every method of `path` is as `allow` says: nothing there, or these and no other.
    fn judge(&self, path: &str, allow: Option<&str>) {
        let origin = self.setup.origin(0);
        let host = origin.split_once("://").expect("an origin has a scheme").1;
        for method in METHODS {
            let request = Request::new(method, &format!("/bff{path}")).header("Host", host).header("X-BFF", "1");
            let answer = send(self.setup.port, &request);
            let what = format!("{method} {path}: {} {:?}", answer.status, answer.all("allow"));
            let Some(allow) = allow else {
                assert_eq!(answer.status, 404, "{what}");
                continue;
            };
            if allow.split(", ").any(|allowed| allowed == method) {
                assert!(!matches!(answer.status, 404 | 405), "{what}");
            } else {
                assert_eq!((answer.status, answer.header("allow")), (405, Some(allow)), "{what}");
            }
            if method != "HEAD" && answer.status >= 400 {
                assert!(!answer.body.is_empty(), "{what}");
            }
        }
    }
}

/// What is always there.
const ALWAYS: [(&str, &str); 8] = [
    ("/session", "GET, HEAD"),
    ("/session/extend", "POST"),
    ("/logout", "POST"),
    ("/logout/callback", "GET"),
    ("/backchannel-logout", "POST"),
    ("/events", "GET, HEAD"),
    ("/client.js", "GET, HEAD"),
    // Who asks without saying that it is a navigation is refused, and not for the method.
    ("/callback?code=c&state=s", "GET"),
];

#[test]
fn each_path_takes_its_methods_and_says_so_of_others() {
    let stage = Stage::with(&[], &[]);
    for (path, allow) in ALWAYS {
        stage.judge(path, Some(allow));
    }
    stage.judge("/login", Some("GET"));
    for path in [
        "/frontchannel-logout",
        "/callback/main",
        "/callback/other?code=c&state=s",
        "/callback/",
        "/callback/a/b",
        "/",
        "",
        "/login/",
        "/Login",
        "/session/extend/",
        "/client.js/x",
        "/unheard-of",
    ] {
        stage.judge(path, None);
    }
}

#[test]
fn what_is_configured_adds_paths_and_methods() {
    let own = ["own_callback = true", "client_id = \"b\"", "client_auth = \"none\""];
    let posting = [&own[..], &["name = \"posting\"", "issuer = \"DEAD/b\"", "response_mode = \"form_post\""]].concat();
    let asking = [&own[..], &["name = \"asking\"", "issuer = \"DEAD/c\""]].concat();
    let relay = ["name = \"relay\"", "kind = \"relay\"", "login_url = \"DEAD/login\""];
    let first = ["response_mode = \"form_post\"", "frontchannel_logout = true"];
    let stage = Stage::with(&first, &[&posting, &asking, &relay]);
    for (path, allow) in ALWAYS {
        stage.judge(path, Some(if path.starts_with("/callback") { "GET, POST" } else { allow }));
    }
    stage.judge("/login", Some("GET, POST"));
    stage.judge("/frontchannel-logout", Some("GET"));
    stage.judge("/callback/posting?code=c&state=s", Some("GET, POST"));
    stage.judge("/callback/asking?code=c&state=s", Some("GET"));
    stage.judge("/callback/relay", None);
    stage.judge("/callback/main", None);
}
