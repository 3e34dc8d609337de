//! The gateway and the embedded provider, which share no code, agree on each way in which an answer can come back.

use cloakroom::dev::provider::{Client, Setup};
use cloakroom::secret::ClientSecret;
use tempfile::TempDir;

use crate::support::{Browser, Gateway, embedded, free_port, fresh_key};

#[test]
fn a_login_passes_whichever_way_its_answer_comes_back_and_so_does_a_refusal() {
    let (port, admin_port, dir) = (free_port(), free_port(), TempDir::new().expect("a temporary directory"));
    let modes = ["query", "form_post", "jwt", "query.jwt", "form_post.jwt"];
    let origin = format!("http://one.localhost:{port}");
    let client = Client {
        id: "one".to_owned(),
        name: "Site One".to_owned(),
        secret: Some(ClientSecret::new("a secret")),
        redirect_uris: vec![format!("{origin}/bff/callback")],
        post_logout_redirect_uris: Vec::new(),
        backchannel_logout_uri: None,
    };
    let provider = embedded(Setup { clients: vec![client], ..Setup::default() });
    let entry = |mode: &&str| {
        format!(
            "[[site.provider]]\nname = \"{mode}\"\nissuer = \"{}\"\nclient_id = \"one\"\nclient_secret = \"a secret\"\n\
             response_mode = \"{mode}\"\n",
            provider.issuer()
        )
    };
    let config = dir.path().join("gateway.toml");
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:{port}\"\n[admin]\nlisten = \"127.0.0.1:{admin_port}\"\n\
         [[site]]\norigin = \"{origin}\"\n[site.session]\nkeys = [\"{}\"]\n{}",
        fresh_key(),
        modes.iter().map(entry).collect::<String>()
    );
    std::fs::write(&config, text).expect("writable");
    let gateway = Gateway::serve(&config, port, admin_port);
    for mode in modes {
        let mut browser = Browser::new();
        let login = format!("{origin}/bff/login?provider={mode}&return_to=%2Fhere");
        let page = browser.open(&login);
        let page = browser.pass_provider(page, "ada", "\0");
        assert_eq!(
            page.url,
            format!("{origin}/here"),
            "{mode}: {}\n{}",
            page.response.text(),
            gateway.process.output()
        );
        assert_eq!(browser.session(&origin)["provider"], mode);

        // A silent login where nobody is signed in is refused, and that comes back in the same way.
        let mut stranger = Browser::new();
        let page = stranger.open(&format!("{login}&prompt=none"));
        let page = stranger.pass_provider(page, "ada", "\0");
        assert_eq!(page.url, format!("{origin}/here"), "{mode}: {}", page.response.text());
        assert!(!stranger.is_signed_in(&origin), "{mode}");
    }
    assert_eq!(provider.complaints(), Vec::<String>::new());
}
