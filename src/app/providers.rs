//! Looks after the providers, so that one that is down is known to be, and known to be back.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::generation::Generation;
use crate::auth::Auth;
use crate::provider::{LOOK_AGAIN, Provider};

/// The providers that are down: the site's origin and the name.
type Down = Mutex<HashSet<(String, String)>>;

/// Looks at every provider again and again, each beside the others, since a silent one takes its time; and at once at those
/// of a generation that has just come.
pub(super) async fn look_after(current: Arc<ArcSwap<Generation>>, renewed: Arc<Notify>) {
    let down = Down::default();
    loop {
        let generation = current.load_full();
        let all =
            generation.auths.iter().flat_map(|auth| auth.providers().iter().map(move |provider| (auth, provider)));
        let looks = join_all(all.map(|(auth, provider)| look_again_and_again(auth, provider, &down)));
        tokio::select! {
            _ = looks => renewed.notified().await,
            () = renewed.notified() => {}
        }
    }
}

/// Says when the provider goes and when it is back.
async fn look_again_and_again(auth: &Auth, provider: &Provider, down: &Down) {
    let (origin, name) = (&auth.site().origin, provider.name());
    loop {
        let answer = provider.warm_up().await;
        let news = {
            let mut down = down.lock().unwrap_or_else(PoisonError::into_inner);
            let key = (origin.to_string(), name.to_owned());
            if answer.is_ok() { down.remove(&key) } else { down.insert(key) }
        };
        match answer {
            Ok(()) if news => tracing::info!(event = "provider_up", site = %origin, provider = name),
            Err(why) if news => tracing::warn!(event = "provider_down", site = %origin, provider = name, %why),
            Ok(()) | Err(_) => {}
        }
        sleep(LOOK_AGAIN).await;
    }
}
