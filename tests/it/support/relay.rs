//! Between a client and a server, byte for byte, until a certain word comes by.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::contains;

type Act = Box<dyn FnOnce() + Send>;

/// A relay on a port of its own.
pub struct Relay {
    port: u16,
    orders: Arc<Mutex<Orders>>,
}

#[derive(Default)]
struct Orders {
    before: Option<(String, Act)>,
    lost: Option<String>,
}

impl Relay {
    pub fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let orders = Arc::<Mutex<Orders>>::default();
        let shared = Arc::clone(&orders);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                join(client, server, &shared);
            }
        });
        Self { port, orders }
    }

    /// As the URL of a Redis.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Does this before the next message with `word` in it is passed on, once.
    pub fn before(&self, word: &str, act: impl FnOnce() + Send + 'static) {
        self.orders.lock().expect("nobody panics with it").before = Some((word.to_owned(), Box::new(act)));
    }

    /// From a message with `word` in it on, its connection carries no answers any more.
    pub fn lose_the_answer_to(&self, word: &str) {
        self.orders.lock().expect("nobody panics with it").lost = Some(word.to_owned());
    }

    /// Takes the orders back.
    pub fn mend(&self) {
        *self.orders.lock().expect("nobody panics with it") = Orders::default();
    }
}

fn join(client: TcpStream, server: TcpStream, orders: &Arc<Mutex<Orders>>) {
    let mute = Arc::new(AtomicBool::new(false));
    let (Ok(mut from_client), Ok(mut to_server)) = (client.try_clone(), server.try_clone()) else { return };
    let (orders, muted) = (Arc::clone(orders), Arc::clone(&mute));
    std::thread::spawn(move || {
        copy(&mut from_client, |bytes| {
            let act = {
                let mut orders = orders.lock().expect("nobody panics with it");
                if orders.lost.as_ref().is_some_and(|word| contains(bytes, word.as_bytes())) {
                    muted.store(true, Ordering::SeqCst);
                }
                orders.before.take_if(|(word, _)| contains(bytes, word.as_bytes()))
            };
            if let Some((_, act)) = act {
                act();
            }
            to_server.write_all(bytes)
        });
        let _ = to_server.shutdown(Shutdown::Both);
    });
    let (mut from_server, mut to_client) = (server, client);
    std::thread::spawn(move || {
        copy(&mut from_server, |bytes| if mute.load(Ordering::SeqCst) { Ok(()) } else { to_client.write_all(bytes) });
        let _ = to_client.shutdown(Shutdown::Both);
    });
}

fn copy(from: &mut TcpStream, mut pass: impl FnMut(&[u8]) -> std::io::Result<()>) {
    let mut bytes = [0; 65_536];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        if pass(&bytes[..length]).is_err() {
            return;
        }
    }
}
