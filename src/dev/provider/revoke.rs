//! Revocation: either token of a login ends the whole login (RFC 7009 §2.1).

use actix_web::{HttpRequest, HttpResponse, web};

use super::client::authenticate;
use super::issue::read_refresh_token;
use super::parameters::Parameters;
use super::respond::Refusal;
use super::shared::Shared;

/// The revocation endpoint.
pub(super) async fn revoke(
    shared: web::Data<Shared>,
    request: HttpRequest,
    body: web::Bytes,
) -> Result<HttpResponse, Refusal> {
    shared.state().tally.revocations += 1;
    let form = Parameters::from_form(&request, &body)?;
    let answer = end_family(&shared, &request, &form);
    if let Err(refusal) = &answer {
        shared.complain("revocation endpoint", &refusal.to_string());
    }
    // A token that nobody knows is as good as revoked (RFC 7009 §2.2).
    answer.map(|()| HttpResponse::Ok().finish())
}

fn end_family(shared: &Shared, request: &HttpRequest, form: &Parameters) -> Result<(), Refusal> {
    let client = authenticate(shared, request, form)?;
    let token = form.required("token")?;
    let family = read_refresh_token(shared, token).map(|(family, _)| family).or_else(|| {
        let claims = shared.access_tokens.open(token)?;
        Some(claims.login().to_owned())
    });
    let Some(family) = family else { return Ok(()) };
    let mut state = shared.state();
    match state.families.get(&family, shared.now()) {
        Some(known) if known.grant.client_id != client.id => {
            Err(Refusal::invalid_grant("the token was issued to another client"))
        }
        _ => {
            shared.end_login(&mut state, &family);
            Ok(())
        }
    }
}
