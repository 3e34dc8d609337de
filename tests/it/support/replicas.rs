//! Several gateways that share a store, as behind a load balancer that knows nothing of sessions.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::http::try_send;
use super::{Browser, Gateway, Redis, Response, Setup, World, eventually, free_port};

/// One call under load.
pub struct Seen {
    pub number: usize,
    /// Since the load began.
    pub at: Duration,
    pub took: Duration,
    pub answer: Response,
}

/// One configuration, several processes of it, each on ports of its own; number 0 is the world's gateway.
pub struct Replicas {
    pub world: World,
    rest: Vec<Gateway>,
}

impl Replicas {
    /// `count` gateways on one Redis.
    pub fn start(count: usize, redis: &Redis, grace: &str, setup: Setup) -> Self {
        Self::on(count, &redis.url(), grace, setup)
    }

    /// `count` gateways on the store of this URL.
    pub fn on(count: usize, store: &str, grace: &str, mut setup: Setup) -> Self {
        setup.store.push(format!("url = \"{store}\""));
        setup.store.push(format!("grace = \"{grace}\""));
        Self::of(count, World::of(setup))
    }

    /// A world's gateway, and as many more as make `count`.
    pub fn of(count: usize, world: World) -> Self {
        let mut replicas = Self { world, rest: Vec::new() };
        for number in 1..count {
            let gateway = replicas.another(number, free_port(), free_port());
            replicas.rest.push(gateway);
        }
        replicas
    }

    fn another(&self, number: usize, port: u16, admin_port: u16) -> Gateway {
        let listen = |port: u16| format!("listen = \"127.0.0.1:{port}\"");
        let text = std::fs::read_to_string(&self.world.config).expect("the configuration was written");
        let text = text.replace(&listen(self.world.setup.port), &listen(port));
        let text = text.replace(&listen(self.world.setup.admin_port), &listen(admin_port));
        let path = self.world.dir.path().join(format!("replica-{number}.toml"));
        std::fs::write(&path, text).expect("a temporary directory is writable");
        Gateway::serve(&path, port, admin_port)
    }

    pub fn count(&self) -> usize {
        1 + self.rest.len()
    }

    /// One of them; numbers beyond the last go round.
    pub fn gateway(&self, number: usize) -> &Gateway {
        match number % self.count() {
            0 => &self.world.gateway,
            number => &self.rest[number - 1],
        }
    }

    pub fn site(&self) -> String {
        self.world.one()
    }

    /// A tab of this browser whose requests go to one replica.
    pub fn tab(&self, number: usize, browser: &Browser) -> Browser {
        let mut tab = browser.clone();
        tab.route(&self.site(), self.gateway(number).port);
        tab
    }

    /// A GET of the site's own script, answered by one replica.
    #[track_caller]
    pub fn get(&self, number: usize, browser: &Browser, path: &str) -> Response {
        self.try_get(number, browser, path).expect("the gateway answers")
    }

    /// The same, where a broken connection is an answer too.
    pub fn try_get(&self, number: usize, browser: &Browser, path: &str) -> std::io::Result<Response> {
        try_send(self.gateway(number).port, &self.world.own_request(browser, "GET", path))
    }

    /// A POST of the site's own script, answered by one replica.
    #[track_caller]
    pub fn post(&self, number: usize, browser: &Browser, path: &str) -> Response {
        let request = self.world.own_request(browser, "POST", path).header("Origin", self.site());
        try_send(self.gateway(number).port, &request).expect("the gateway answers")
    }

    /// Sends a GET to one replica and does not wait: the answer can be read from the connection, or never.
    pub fn begin(&self, number: usize, browser: &Browser, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.gateway(number).port)).expect("the gateway listens");
        let request = self.world.own_request(browser, "GET", path);
        stream.write_all(&request.bytes()).expect("the request can be written");
        stream
    }

    /// `count` calls at once, dealt out over the replicas in turn; every answer, and how long it took.
    pub fn storm(&self, count: usize, browser: &Browser, path: &str) -> Vec<(Response, Duration)> {
        self.storm_on(&(0..self.count()).collect::<Vec<_>>(), count, browser, path)
    }

    /// The same over some of the replicas only.
    pub fn storm_on(
        &self,
        numbers: &[usize],
        count: usize,
        browser: &Browser,
        path: &str,
    ) -> Vec<(Response, Duration)> {
        let together = Barrier::new(count);
        let call = |turn: usize| {
            together.wait();
            let start = Instant::now();
            let answer = self.get(numbers[turn % numbers.len()], browser, path);
            (answer, start.elapsed())
        };
        std::thread::scope(|scope| {
            let call = &call;
            let running: Vec<_> = (0..count).map(|turn| scope.spawn(move || call(turn))).collect();
            running.into_iter().map(|one| one.join().expect("a call gets an answer")).collect()
        })
    }

    /// Does `act` while every replica is called again and again; what it came to, and what those calls saw.
    pub fn under_load<T>(&self, browser: &Browser, path: &str, act: impl FnOnce() -> T) -> (T, Vec<Seen>) {
        let over = AtomicBool::new(false);
        let epoch = Instant::now();
        let caller = |number: usize| {
            let mut seen = Vec::new();
            while !over.load(Ordering::SeqCst) {
                let start = Instant::now();
                let answer = self.get(number, browser, path);
                seen.push(Seen { number, at: start - epoch, took: start.elapsed(), answer });
                std::thread::sleep(Duration::from_millis(15));
            }
            seen
        };
        std::thread::scope(|scope| {
            let caller = &caller;
            let callers: Vec<_> = (0..self.count()).map(|number| scope.spawn(move || caller(number))).collect();
            // The callers must come to an end when `act` fails, too.
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act));
            over.store(true, Ordering::SeqCst);
            let mut seen: Vec<Seen> =
                callers.into_iter().flat_map(|one| one.join().expect("a call gets an answer")).collect();
            seen.sort_by_key(|seen| seen.at);
            (done.unwrap_or_else(|panic| std::panic::resume_unwind(panic)), seen)
        })
    }

    /// How often the token endpoint was asked to refresh, counted at arrival. Each login has cost one call.
    pub fn refreshes(&self, logins: usize) -> usize {
        self.world.provider.token_arrivals(self.world.client_id()) - logins
    }

    /// Waits until the token endpoint was asked to refresh so many times.
    #[track_caller]
    pub fn wait_for_refreshes(&self, logins: usize, count: usize) {
        eventually(&format!("refresh call {count} should arrive"), || (self.refreshes(logins) >= count).then_some(()));
    }

    /// Orders a fault of the token endpoint.
    pub fn token_fault(&self, mut fault: serde_json::Value) {
        fault["client_id"] = self.world.client_id().into();
        fault["path"] = "/token".into();
        self.world.provider.fault(&fault);
    }

    /// Takes the faults back.
    pub fn heal(&self) {
        self.world.provider.heal(Some(self.world.client_id()));
    }

    /// The bearer that the upstream sees when this replica is asked; the call must succeed.
    #[track_caller]
    pub fn bearer(&self, number: usize, browser: &Browser) -> String {
        let path = format!("/api/bearer-{number}-{}", free_port());
        let answer = self.get(number, browser, &path);
        assert_eq!(answer.status, 200, "replica {number}: {} {}", answer.reason(), answer.text());
        let asked = self.world.upstream.requests().into_iter().find(|asked| asked.target == path);
        asked.expect("the upstream was asked").bearer().to_owned()
    }
}
