//! The ways in which an answer comes back, each as a client meets it.

use super::*;

/// The fields of the form that the browser posts by itself, and where to.
async fn posted(answer: Response) -> (String, HashMap<String, String>) {
    assert_eq!(answer.status(), 200);
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("script-src 'self'") && policy.contains("http://one.localhost:8080"), "{policy}");
    let page = answer.text().await.unwrap();
    assert!(page.contains("<script src=\"/post.js\" defer></script>"), "{page}");
    let field = |rest: &str| {
        let (name, rest) = rest.split_once("\" value=\"").unwrap();
        (name.to_owned(), unescape(rest.split('"').next().unwrap()))
    };
    let fields = page.split("<input type=\"hidden\" name=\"").skip(1).map(field).collect();
    (between(&page, "action=\"", '"').to_owned(), fields)
}

/// A login of Ada's in this way; what comes back, still as it is.
async fn answered(world: &World, attempt: &Attempt) -> Response {
    let mut browser = Browser::default();
    let page = world.open(&mut browser, &attempt.url(world)).await.text().await.unwrap();
    world.press(&mut browser, &page, "user", "ada").await
}

#[actix_web::test]
async fn a_form_carries_what_a_query_would() {
    let world = World::start();
    let attempt = Attempt::new().with("response_mode", "form_post");
    let (action, fields) = posted(answered(&world, &attempt).await).await;
    assert_eq!((action.as_str(), &fields["state"]), (CALLBACK, &attempt.get("state").to_owned()));
    assert_eq!((fields.len(), fields["iss"].as_str()), (3, world.provider.issuer()));
    assert_eq!(world.token(&attempt.redemption(&fields["code"])).await.0, 200);
    assert_eq!(world.http.get(world.at("/post.js")).send().await.unwrap().status(), 200);
}

#[actix_web::test]
async fn a_signed_answer_is_one_token_for_the_client_that_ends_soon() {
    let world = World::start();
    for mode in ["jwt", "query.jwt", "form_post.jwt"] {
        let attempt = Attempt::new().with("response_mode", mode);
        let answer = answered(&world, &attempt).await;
        let (place, fields) = if mode.starts_with("form_post") { posted(answer).await } else { redirected(&answer) };
        assert_eq!((place.as_str(), fields.len()), (CALLBACK, 1), "{mode}: {fields:?}");
        let (_, claims) = world.verified(&fields["response"].as_str().into(), "site-one").await;
        assert_eq!(claims["state"], attempt.get("state"));
        assert_eq!(claims["exp"], 1_800_000_060);
        assert_eq!(world.token(&attempt.redemption(claims["code"].as_str().unwrap())).await.0, 200);
    }
    let refused = Attempt::new().with("response_mode", "jwt").with("prompt", "none");
    let (_, fields) = redirected(&world.open(&mut Browser::default(), &refused.url(&world)).await);
    let (_, claims) = world.verified(&fields["response"].as_str().into(), "site-one").await;
    assert_eq!((&claims["error"], &claims["code"]), (&"login_required".into(), &Value::Null));
}

#[actix_web::test]
async fn who_signs_no_answers_says_so_and_refuses_in_the_query() {
    for (name, mode) in [("entra", "jwt"), ("cognito", "form_post"), ("strict", "fragment")] {
        let world = World::of(Profile::named(name).copied().unwrap_or_default());
        let paths = world.provider.profile().paths;
        let url = world.at(&format!("{}/.well-known/openid-configuration", paths.issuer));
        let found: Value = world.http.get(url).send().await.unwrap().json().await.unwrap();
        let modes = found["response_modes_supported"].as_array().unwrap();
        assert!(modes.contains(&"query".into()) && !modes.contains(&mode.into()), "{name}: {modes:?}");
        assert_eq!(modes.contains(&"jwt".into()), found["authorization_signing_alg_values_supported"].is_array());
        let attempt = Attempt::new().with("response_mode", mode);
        let (_, parameters) = redirected(&world.open(&mut Browser::default(), &attempt.url(&world)).await);
        assert_eq!(parameters["error"], "invalid_request", "{name}");
    }
}
