//! `oidcc-client-formpost-basic-certification-test-plan`: the modules of the basic plan with a posted answer, of which the
//! posting itself is what differs.

use serde_json::{Value, json};

use super::Run;
use super::suite::{change, member};

const FORM_POST: &[&str] = &["response_mode = \"form_post\""];

/// `oidcc-client-test`, with `response_mode=form_post`.
#[test]
fn oidcc_client_test_with_form_post() {
    Run::with(FORM_POST, |_| {}).passes();
}

/// `oidcc-client-test-form-post-error`: an error in a form ends the login, and its words are shown as they are.
#[test]
fn oidcc_client_test_form_post_error() {
    let run = Run::with(FORM_POST, |state| {
        state.response = change(|response| {
            response.as_object_mut().unwrap().remove("code");
            response["error"] = "server_error".into();
            response["error_description"] = "<script>alert(1)</script>".into();
        });
    });
    run.refuses("the provider refused the login: server_error");
    assert!(run.suite.asked("/token").is_empty());
}

/// Not the suite's: `…-invalid-authorization-response-iss` and `…-remove-…`, with a posted answer.
#[test]
fn a_posted_answer_that_does_not_name_its_issuer_is_refused() {
    for (iss, reason) in [
        (json!("https://evil.example"), "the response is another issuer's"),
        (Value::Null, "the response does not name its issuer"),
    ] {
        let run = Run::with(FORM_POST, |state| state.response = member("iss", iss));
        run.refuses(reason);
        assert!(run.suite.asked("/token").is_empty());
    }
}
