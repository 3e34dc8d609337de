//! The keys that clients sign with: which are taken, and what is wrong with the others.

use super::*;

/// An ordinary key.
const P384: &str = "-----BEGIN PRIVATE KEY-----\n\
MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDAQttZHIm/a4ESyQO5o\n\
3chmHx7I+nAKTv8fOifN5BIUxSjY/m2oGguQHWauhWsXzIShZANiAARh0PdNqGRH\n\
/6me8TdwF016BfjJk+aCr3VNdu3aTZIJBgpJg7zEbCzdPxRMm2HYj9YDQKJWYIf1\n\
sCT0iJtVBkHQhV/6H6m3/4UBkCNiGBHCNRHt/w3IhfP5zJgaMq0/MvM=\n\
-----END PRIVATE KEY-----";
/// RSA with 1024 bits.
const SMALL: &str = "-----BEGIN PRIVATE KEY-----\n\
MIICdQIBADANBgkqhkiG9w0BAQEFAASCAl8wggJbAgEAAoGBAM2e2RshDeXM4IgC\n\
SRdBn4d61mqImTB2jSre2SPW8NbKcWhvvVyr2T8LRr+45MXtnrkNInB3+xqv+LMQ\n\
DmVD/BUUCnBFuN0hYTIwSzt34rq8grqM+SW3YVhohyXU3S5hxxGKsCYHCNEjGDhB\n\
KkU8anhCoJjabKVKs/w0aA9YbZ9HAgMBAAECgYAZ7mOA6V1AUuMqI+el2C/PPS2X\n\
R9zR4NGSy4Hk5DGBVQySWC0wZ7fBHKHygdXQJFR1D/P87RSs2+5oXqkCGl3K7KvV\n\
QjAjNg41T9r9/QpgsWmWdrIwmeI3FBYJj6f/X3VYHa68D7I6fvPRog5R95MCtQla\n\
dOsVtSK7cB5dtQ3KCQJBAPhn+nPt/W8Po9M34kN1PrxGABrXUNNGTIQ5d1oPZwug\n\
o5O0YmUpFaTyRM8jo+V/pRWmOb/HTIWly1M7I4yocSsCQQDT6Aes4+NwPPJwRSDk\n\
oJmGkA1auf9ilABEaYHTH9PtxsuJTydyuPpdRmyudSULT3tNELA/XUA7RP9Djg+W\n\
wiRVAkAegC3pdCxtKZ90/OSkYc4NMg8rPIrpFjWo+qFkBoYhkFzlcv2t7CiDM1gt\n\
kvO55z1u9hUbLi6ALoZTtuw7hic3AkA6xfNDB53wZmcTroi2ALk0MkYR8N6dd9Ev\n\
KFhCt2QvYeDX/6VAU3/VWRARvxn8LhpTwJoxqOqExdlK4l7+gHBVAkBykNGy6+Ph\n\
qzOXNEmF3/o6XZCK3JAUsbmMgN3EMKJ3+1+nQD7hUDeefxVg/Jbpev1JJccNLyKN\n\
0SrgtAoNpBr0\n\
-----END PRIVATE KEY-----";
/// A curve that nothing here signs with.
const P521: &str = "-----BEGIN PRIVATE KEY-----\n\
MIHuAgEAMBAGByqGSM49AgEGBSuBBAAjBIHWMIHTAgEBBEIACsRiDLIJ+p+DVLJX\n\
1JIqMPGizHgQQscdhmN/nCn63JcQ8f1QoRlc9mZb//uAEH3Y90kXqZ3VrX8icBEH\n\
6WQDyYahgYkDgYYABAGQoX10+v/UkePHJ29ncGhwpek6Pq2dLJHFYyXomB9o9aNp\n\
X1i92J301lilxKTFnCpVQ0KD08ZvVxNRFa6WiesYXAHGvtwlJsO0xl+FWB/zgozt\n\
eai7LCBBLOVSzRDid+5NNY7jkqwVdeqzCim2C4NCuVt4vYgORhAiS1swAwI/hW8s\n\
eg==\n\
-----END PRIVATE KEY-----";
/// A key that is not in PKCS#8.
const SEC1: &str = "-----BEGIN EC PRIVATE KEY-----\n\
MIGkAgEBBDAQttZHIm/a4ESyQO5o3chmHx7I+nAKTv8fOifN5BIUxSjY/m2oGguQ\n\
HWauhWsXzISgBwYFK4EEACKhZANiAARh0PdNqGRH/6me8TdwF016BfjJk+aCr3VN\n\
du3aTZIJBgpJg7zEbCzdPxRMm2HYj9YDQKJWYIf1sCT0iJtVBkHQhV/6H6m3/4UB\n\
kCNiGBHCNRHt/w3IhfP5zJgaMq0/MvM=\n\
-----END EC PRIVATE KEY-----";
/// A key under a password.
const ENCRYPTED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n\
MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhEpcFSi5hRagICCAAw\n\
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEGR/ObZR73dptPxBdzYj/aYEQIyH\n\
mqo57aD4lVG8+1TQvWel6itnO+xwDRtu44J/NV0X/i4O+VAerWwkE+NI4DE9NEZY\n\
9rIGGbcZCJWYo/SZNRA=\n\
-----END ENCRYPTED PRIVATE KEY-----";

/// A site that signs with `key`, with these further lines; the key comes from the environment.
fn read_with(key: &str, lines: &str) -> Result<Config, Faults> {
    let secret = "client_secret = { env = \"SECRET\" }";
    let ours = format!("client_auth = \"private_key_jwt\"\nsigning_key = {{ env = \"SIGNING\" }}\n{lines}");
    let environment = |name: &str| if name == "SIGNING" { Some(key.to_owned()) } else { environment(name) };
    read_text(Path::new("gateway.toml"), &SITE.replace(secret, &ours), &environment)
}

fn only_fault(key: &str, lines: &str) -> Fault {
    let Faults(mut faults) = read_with(key, lines).expect_err("has a fault");
    assert_eq!(faults.len(), 1, "{}", Faults(faults));
    faults.remove(0)
}

#[test]
fn the_algorithm_follows_from_the_key() {
    let config = read_with(P384, "signing_key_id = \"k-1\"").unwrap_or_else(|faults| panic!("{faults}"));
    let client = config.sites[0].providers[0].kind.client().expect("it is OpenID Connect");
    let ClientAuth::PrivateKeyJwt(assertion) = &client.client_auth else { panic!("a key") };
    assert_eq!((assertion.alg, assertion.key_id.as_deref()), ("ES384", Some("k-1")));
    assert_eq!(assertion.aud, AssertionAud::Issuer);
    assert_eq!(assertion.typ, AssertionTyp::ClientAuthentication);
    assert!(!format!("{config:?}").contains("BEGIN"), "a key is no text for logs");
}

#[test]
fn a_key_that_cannot_sign_well_is_refused_and_never_shown() {
    for (key, wrong, remedy) in [
        (SMALL, "less than 2048 bits", "P-256"),
        (P521, "of a kind that is not signed with", "P-384"),
        (SEC1, "is not in PKCS#8", "openssl pkcs8 -topk8"),
        (ENCRYPTED, "encrypted with a password", "decrypt it"),
        ("hunter2hunter2", "no private key in PEM", "PKCS#8"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "of a kind", "RSA"),
    ] {
        let fault = only_fault(key, "");
        assert_eq!(fault.key, "site[0].provider[0].signing_key");
        assert!(fault.wrong.contains(wrong) && fault.remedy.contains(remedy), "{fault}");
        let shown = key.lines().nth(1).unwrap_or(key);
        assert!(!fault.to_string().contains(shown), "{fault}");
    }
}

#[test]
fn an_algorithm_of_another_kind_of_key_is_refused() {
    for alg in ["ES256", "RS256", "EdDSA"] {
        let fault = only_fault(P384, &format!("signing_alg = \"{alg}\""));
        assert_eq!(fault.key, "site[0].provider[0].signing_alg");
        assert!(fault.wrong.contains("does not go with the kind of key") && fault.remedy.contains("ES384"), "{fault}");
    }
    assert!(only_fault(P384, "signing_alg = \"HS256\"").wrong.contains("not a choice"));
    assert!(only_fault(P384, "signing_alg = \"none\"").wrong.contains("not a choice"));
}

#[test]
fn what_a_way_of_authentication_needs_is_asked_for_and_what_it_does_not_is_refused() {
    let secret = "client_secret = { env = \"SECRET\" }";
    let keyless = "client_auth = \"private_key_jwt\"";
    for (lines, key, wrong) in [
        (keyless.to_owned(), "signing_key", "is missing"),
        ("client_auth = \"tls_client_auth\"".into(), "client_cert", "\"tls_client_auth\" proves itself by it"),
        ("client_auth = \"self_signed_tls_client_auth\"".into(), "client_cert", "is missing"),
        (format!("{secret}\nsigning_alg = \"ES256\""), "signing_alg", "has no effect"),
        (format!("{secret}\nsigning_key_id = \"x\""), "signing_key_id", "has no effect"),
        ("client_auth = \"client_secret_jwt\"".into(), "client_auth", "not supported"),
    ] {
        let faults = faults_of(&SITE.replace(secret, &lines));
        let key = format!("site[0].provider[0].{key}");
        assert!(faults.iter().any(|fault| fault.key == key && fault.wrong.contains(wrong)), "{}", Faults(faults));
    }
    let both = only_fault(P384, secret);
    assert_eq!(both.key, "site[0].provider[0].client_secret");
    assert!(both.wrong.contains("`client_auth` does without it"), "{both}");
}

#[test]
fn a_key_in_the_file_itself_is_for_loopback_origins() {
    let signing = format!("client_auth = \"private_key_jwt\"\nsigning_key = \"\"\"{P384}\"\"\"");
    let faults = faults_of(&SITE.replace("client_secret = { env = \"SECRET\" }", &signing));
    assert_eq!(faults[0].key, "site[0].provider[0].signing_key");
    assert!(faults[0].wrong.contains("written in the file itself"), "{}", faults[0]);
    understood(&LOCAL.replace("client_auth = \"none\"", &signing));
}
