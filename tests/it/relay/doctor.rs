//! What `doctor` says of an API with a login of its own.

use super::Stage;
use crate::support::{Manners, Reply, cloakroom};

#[test]
fn doctor_tells_of_an_api_that_gives_scripts_no_401() {
    let stage = Stage::new(Manners::JwtAuth);
    let doctor = || {
        let output = cloakroom().args(["doctor", "--config"]).arg(&stage.config).output().expect("it was built");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, said) = doctor();
    assert!(code == Some(0) && said.contains("refusal: a call without a token gets 401"), "{said}");
    for (status, header) in [("302 Found", "location: /login\r\n"), ("500 Internal Server Error", "")] {
        stage.api.takes_all_for_browsers(Reply::with(status, header, ""));
        let (code, said) = doctor();
        let failed: Vec<&str> = said.lines().filter(|line| line.starts_with("FAIL")).collect();
        let [failed] = failed[..] else { panic!("{status}: {said}") };
        assert!(failed.contains(&format!("a call without a token gets {} instead of 401", &status[..3])), "{failed}");
        assert!(code == Some(1) && failed.contains("shouldRenderJsonWhen"), "{failed}");
    }
}
