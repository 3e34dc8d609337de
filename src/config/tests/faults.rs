//! Every fault by its message: the site that is right is broken in one place, and exactly that place is named.

use super::*;

/// What is replaced in [`SITE`] by what; the key that is blamed, and a part of what is wrong and of the remedy.
pub(super) struct Case(
    pub(super) &'static str,
    pub(super) &'static str,
    pub(super) &'static str,
    pub(super) &'static str,
    pub(super) &'static str,
);

pub(super) fn each(cases: &[Case]) {
    for Case(from, to, key, wrong, remedy) in cases {
        broken(from, to, key, wrong, remedy);
    }
}

/// A line that is added before the line `before`; the key of that table that is blamed, what is wrong, and the remedy.
pub(super) type Added = (&'static str, &'static str, &'static str, &'static str);

pub(super) fn each_added(before: &str, table: &str, cases: &[Added]) {
    for (line, key, wrong, remedy) in cases {
        broken(before, &format!("{line}\n{before}"), &format!("{table}.{key}"), wrong, remedy);
    }
}

fn broken(from: &str, to: &str, key: &str, wrong: &str, remedy: &str) {
    let text = SITE.replacen(from, to, 1);
    assert_ne!(text, SITE, "{from:?} stands in the site");
    let faults = faults_of(&text);
    let [fault] = faults.as_slice() else { panic!("one fault for {to:?}: {}", Faults(faults)) };
    assert_eq!(fault.key, key, "{fault}");
    assert!(fault.wrong.contains(wrong), "{wrong:?} in {fault}");
    assert!(fault.remedy.contains(remedy), "{remedy:?} in {fault}");
}

#[test]
fn unknown_keys_are_refused_with_the_one_that_was_meant() {
    let route = "path = \"/api\"";
    each(&[
        Case(route, "path = \"/api\"\nupstraem = 1", "site[0].route[0].upstraem", "no key", "did you mean `upstream`?"),
        Case(
            route,
            "path = \"/api\"\nstrip-prefix = true",
            "site[0].route[0].strip-prefix",
            "no key",
            "`strip_prefix`",
        ),
        Case(
            route,
            "path = \"/api\"\ncolour = 1",
            "site[0].route[0].colour",
            "no key",
            "the keys here are path, upstream",
        ),
        Case("[[site]]", "[[site]]\nidle = \"1h\"", "site[0].idle", "no key", "did you mean `site.session.idle`?"),
        Case("[[site]]", "[[site]]\nbase-path = \"/x\"", "site[0].base-path", "no key", "`base_path`"),
        Case("[[site]]", "[sever]\n[[site]]", "sever", "no key", "did you mean `server`?"),
        Case("path =", "insecure = true\npath =", "site[0].route[0].insecure", "no key", "always verified"),
        Case(
            "path =",
            "skip_verify = true\npath =",
            "site[0].route[0].skip_verify",
            "no key",
            "name its certificate with `ca`",
        ),
        Case("client_id", "verify = false\nclient_id", "site[0].provider[0].verify", "no key", "always verified"),
    ]);
}

#[test]
fn a_wrong_type_is_named_with_the_right_one() {
    each(&[
        Case("\"/api\"", "7", "site[0].route[0].path", "expected a string, found an integer", "a string"),
        Case(
            "path =",
            "strip_prefix = \"yes\"\npath =",
            "site[0].route[0].strip_prefix",
            "expected a boolean",
            "a boolean",
        ),
        Case("path =", "timeout = 30\npath =", "site[0].route[0].timeout", "expected a duration", "\"30s\""),
        Case("path =", "max_body = 1000\npath =", "site[0].route[0].max_body", "expected a size", "\"1000B\""),
        Case("path =", "methods = \"GET\"\npath =", "site[0].route[0].methods", "expected an array", "an array"),
        Case(
            "path =",
            "methods = [\"GET\", 1]\npath =",
            "site[0].route[0].methods[1]",
            "expected a string",
            "a string",
        ),
        Case("[[site]]", "server = 1\n[[site]]", "server", "expected a table", "[server]"),
        Case("[[site.route]]", "[site.route]", "site[0].route", "expected an array of tables", "[[site.route]]"),
        Case(
            "client_id",
            "authorization_params = []\nclient_id",
            "site[0].provider[0].authorization_params",
            "a table",
            "a table",
        ),
    ]);
}

#[test]
fn a_missing_key_is_asked_for() {
    each(&[
        Case("origin = \"https://app.example\"", "", "site[0].origin", "is missing", "as the browser shows it"),
        Case("issuer = \"https://id.example\"", "", "site[0].provider[0].issuer", "is missing", "discovery document"),
        Case("client_id = \"app\"", "", "site[0].provider[0].client_id", "is missing", "knows this gateway"),
        Case(
            "client_secret = { env = \"SECRET\" }",
            "",
            "site[0].provider[0].client_secret",
            "is missing",
            "client_auth = \"none\"",
        ),
        Case("path = \"/api\"", "", "site[0].route[0].path", "is missing", "path = \"/api\""),
        Case("upstream = \"https://api.example\"", "", "site[0].route[0].upstream", "is missing", "upstream ="),
        Case("keys = [{ env = \"KEY_ONE\" }]", "", "site[0].session.keys", "is missing", "cloakroom keygen"),
        Case("keys = [{ env = \"KEY_ONE\" }]", "keys = []", "site[0].session.keys", "is missing", "cloakroom keygen"),
    ]);
    let faults = faults_of("[log]\nformat = \"json\"");
    assert_eq!((faults[0].key.as_str(), faults[0].wrong.as_str()), ("site", "there is no site"));
    let faults = faults_of("[[site]]\norigin = \"http://localhost\"");
    assert_eq!((faults[0].key.as_str(), faults[0].wrong.as_str()), ("site[0].provider", "the site has no provider"));
}

#[test]
fn every_fault_is_reported_at_once_in_the_order_of_the_file() {
    let text = SITE
        .replace("https://app.example", "http://app.example")
        .replace("[site.session]", "[site.session]\nidel = \"1h\"\nabsolute = 12")
        .replace("\"/api\"", "\"/api/\"")
        .replace("https://api.example", "ftp://api.example");
    let keys: Vec<_> = faults_of(&text).into_iter().map(|fault| (fault.line, fault.key)).collect();
    let expected = [
        (3, "site[0].origin"),
        (5, "site[0].session.idel"),
        (6, "site[0].session.absolute"),
        (13, "site[0].route[0].path"),
        (14, "site[0].route[0].upstream"),
    ];
    assert_eq!(keys, expected.map(|(line, key)| (Some(line), key.to_owned())));
}

#[test]
fn a_fault_reads_like_a_sentence_with_its_remedy() {
    let faults = Faults(faults_of(&SITE.replace("https://app.example", "http://app.example")));
    let expected = "gateway.toml:3: site[0].origin: \"http://app.example\" is plain http beyond loopback\n    \
                    → write https://, and let an edge or [server] tls terminate it\n1 fault";
    assert_eq!(faults.to_string(), expected);
}
