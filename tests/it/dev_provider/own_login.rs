//! The APIs with a login of their own that the embedded provider can play, each as a gateway meets it.

use cloakroom::dev::provider::PASSWORD;
use serde_json::json;

use super::*;

fn playing(name: &str) -> World {
    World::of(*Profile::named(name).unwrap())
}

impl World {
    /// `POST` of JSON, with a token if there is one.
    async fn post_json(&self, path: &str, token: Option<&str>, body: &Value) -> (u16, Value) {
        let request = self.http.post(self.at(path)).header("accept", "application/json").json(body);
        let request = token.map_or(request.try_clone().unwrap(), |token| request.bearer_auth(token));
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    async fn log_in(&self, path: &str) -> Value {
        let credentials = json!({ "email": "ada@people.example", "password": PASSWORD, "device_name": "Ada's" });
        let (status, granted) = self.post_json(path, None, &credentials).await;
        assert_eq!(status, 200, "{granted}");
        granted
    }

    async fn me(&self, path: &str, token: &str) -> (u16, Value) {
        let answer = self.http.get(self.at(path)).bearer_auth(token).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[actix_web::test]
async fn jwt_auth_renews_its_newest_token_expired_or_not_and_refuses_the_one_before() {
    let world = playing("jwt-auth");
    let first = world.log_in("/api/auth/login").await;
    assert_eq!((&first["token_type"], &first["expires_in"]), (&"bearer".into(), &120.into()));
    let first = text(&first["access_token"]).to_owned();
    let (status, me) = world.me("/api/auth/me", &first).await;
    assert_eq!((status, &me["id"], &me["email"]), (200, &1.into(), &"ada@people.example".into()));
    assert!(world.provider.access_tokens().verify(&first).is_ok());

    world.clock.advance(Duration::from_secs(3 * 3600));
    assert_eq!(world.me("/api/auth/me", &first).await.0, 401, "it has expired");
    let refresh = async |token: &str| world.post_json("/api/auth/refresh", Some(token), &Value::Null).await;
    let (status, second) = refresh(&first).await;
    assert_eq!(status, 200, "{second}");
    let (status, refused) = refresh(&first).await;
    assert_eq!((status, refused), (401, json!({ "message": "The token has been blacklisted" })));
    let (_, third) = refresh(text(&second["access_token"])).await;
    assert!(world.provider.access_tokens().verify(text(&second["access_token"])).is_err(), "blacklisted at once");
    let third = text(&third["access_token"]);
    assert!(world.provider.access_tokens().verify(third).is_ok());

    assert_eq!(world.post_json("/api/auth/logout", Some(third), &Value::Null).await.0, 204);
    assert_eq!(refresh(third).await.0, 401);
    assert_eq!(world.me("/api/auth/me", third).await.0, 401);
    assert_eq!(refresh("nonsense").await.0, 401);
    assert_eq!(world.post_json("/api/auth/refresh", None, &Value::Null).await.0, 401);
}

#[actix_web::test]
async fn sanctum_s_token_is_numbered_lasts_and_is_deleted_by_a_logout() {
    let world = playing("sanctum");
    for number in 1..=2 {
        let credentials = json!({ "email": "ada@people.example", "password": PASSWORD, "device_name": "Ada's" });
        let request = world.http.post(world.at("/api/sanctum/token")).header("accept", "application/json");
        let granted = request.json(&credentials).send().await.unwrap();
        assert_eq!(
            (granted.status().as_u16(), &granted.headers()["content-type"]),
            (200, &"text/html; charset=UTF-8".parse().unwrap())
        );
        let token = &granted.text().await.unwrap();
        assert_eq!(token.split_once('|').map(|(before, _)| before), Some(&*number.to_string()), "{token}");
        world.clock.advance(Duration::from_secs(3600));
        assert!(world.provider.access_tokens().verify(token).is_ok());
        let (status, user) = world.me("/api/user", token).await;
        assert_eq!((status, &user["id"], &user["name"]), (200, &1.into(), &"Ada Lovelace".into()));
        assert_eq!(world.post_json("/api/logout", Some(token), &Value::Null).await.0, 204);
        assert!(world.provider.access_tokens().verify(token).is_err());
        assert_eq!(world.me("/api/user", token).await.0, 401);
    }
    assert_eq!(world.post_json("/api/auth/refresh", None, &Value::Null).await.0, 404);
    let nameless = json!({ "email": "ada@people.example", "password": PASSWORD });
    let (status, refused) = world.post_json("/api/sanctum/token", None, &nameless).await;
    assert_eq!((status, text(&refused["errors"]["device_name"][0])), (422, "The device name field is required."));
}

#[actix_web::test]
async fn credentials_that_are_missing_or_wrong_are_told_as_laravel_does() {
    let world = playing("jwt-auth");
    let login = async |body: Value| world.post_json("/api/auth/login", None, &body).await;
    for (body, message, fields) in [
        (json!({}), "The email field is required. (and 1 more error)", 2),
        (json!({ "email": 7, "password": "x" }), "The email field is required.", 1),
        (json!({ "email": "a", "password": "" }), "The password field is required.", 1),
        (json!([]), "The email field is required. (and 1 more error)", 2),
    ] {
        let (status, refused) = login(body).await;
        assert_eq!((status, text(&refused["message"])), (422, message));
        assert_eq!(refused["errors"].as_object().unwrap().len(), fields, "{refused}");
    }
    for (email, password) in [("ada@people.example", "wrong"), ("nobody@people.example", PASSWORD)] {
        let refused = login(json!({ "email": email, "password": password })).await;
        assert_eq!(refused, (401, json!({ "error": "Unauthorized" })));
    }
    assert_eq!(world.provider.complaints(), Vec::<String>::new(), "that is the user's doing, not the gateway's");
    let page = world.http.post(world.at("/api/auth/login")).json(&json!({})).send().await.unwrap();
    assert_eq!((page.status().as_u16(), &page.headers()[LOCATION]), (302, &"/login".parse().unwrap()));
    assert_eq!(world.provider.complaints().len(), 1, "it did not ask for JSON");
}
