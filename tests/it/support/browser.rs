//! A model of a browser: a cookie jar with a browser's rules, fetch metadata, redirects, and a memory of every byte it saw.

use std::time::{Duration, Instant};

use super::{Exchange, Request, Response, contains, send};

/// One browser profile.
#[derive(Clone, Default)]
pub struct Browser {
    jar: Vec<Cookie>,
    seen: Vec<Exchange>,
    edges: Vec<(String, u16)>,
}

/// A document that a navigation ended on, or a redirect that it was held at.
#[derive(Clone, Debug)]
pub struct Page {
    /// Where it is; for a held redirect, where it would go next.
    pub url: String,
    /// The answer that led there.
    pub response: Response,
    /// Every URL asked on the way, the first one first.
    pub trail: Vec<String>,
}

/// A cookie in the jar.
#[derive(Clone, Debug)]
pub struct Cookie {
    pub host: String,
    pub path: String,
    pub name: String,
    pub value: String,
    pub http_only: bool,
    pub same_site: String,
    pub until: Option<Instant>,
}

const LONGEST_TRAIL: usize = 12;

impl Browser {
    pub fn new() -> Self {
        Self::default()
    }

    /// A browser whose `https://` requests to a host go through an edge that ends TLS and passes them on to a loopback port.
    pub fn behind_edge(host: &str, port: u16) -> Self {
        Self { edges: vec![(host.into(), port)], ..Self::default() }
    }

    /// From now on, requests to a site's host go to another port of this machine, as a load balancer would send them.
    pub fn route(&mut self, site: &str, port: u16) {
        let host = host_of(site);
        self.edges.retain(|(known, _)| *known != host);
        self.edges.push((host, port));
    }

    /// Types a URL into the address bar and follows redirects to a document.
    #[track_caller]
    pub fn open(&mut self, url: &str) -> Page {
        self.navigate("GET", url, None, "", |_| false)
    }

    /// Follows a link that stands on a page of `from`.
    #[track_caller]
    pub fn click(&mut self, from: &str, url: &str) -> Page {
        self.navigate("GET", url, Some(from), "", |_| false)
    }

    /// Submits a form that stands on a page of `from`.
    #[track_caller]
    pub fn submit(&mut self, from: &str, url: &str, form: &str) -> Page {
        self.navigate("POST", url, Some(from), form, |_| false)
    }

    /// Submits a form, but stops before asking anything whose URL contains `word`.
    #[track_caller]
    pub fn submit_until(&mut self, from: &str, url: &str, form: &str, word: &str) -> Page {
        self.navigate("POST", url, Some(from), form, |next| next.contains(word))
    }

    /// Opens a URL, but stops before asking anything whose URL contains `word`.
    #[track_caller]
    pub fn open_until(&mut self, url: &str, word: &str) -> Page {
        self.navigate("GET", url, None, "", |next| next.contains(word))
    }

    /// Logs in at a site's gateway, as `user` where the provider asks; where that ends.
    #[track_caller]
    pub fn sign_in(&mut self, site: &str, user: &str) -> Page {
        let page = self.open(&format!("{site}/bff/login"));
        self.pass_provider(page, user, "\0")
    }

    /// The same, but stops before the callback is asked; its URL is the page's.
    #[track_caller]
    pub fn sign_in_until_callback(&mut self, login_url: &str, user: &str) -> Page {
        let page = self.open_until(login_url, "/bff/callback");
        self.pass_provider(page, user, "/bff/callback")
    }

    /// Answers the provider's pages until the browser is elsewhere, a page that posts its answer by itself included; stops
    /// before a URL that contains `word`.
    #[track_caller]
    pub fn pass_provider(&mut self, mut page: Page, user: &str, word: &str) -> Page {
        while let Some(action) = form_action(&page) {
            let host = origin_of(&page.url);
            let url = if action.starts_with('/') { format!("{host}{action}") } else { action };
            if url.contains(word) {
                break;
            }
            let text = page.response.text();
            let (name, value) = if text.contains("name=\"user\"") { ("user", user) } else { ("agree", "yes") };
            let mut form = hidden_fields(&text);
            form.append_pair(name, value);
            let form = form.finish();
            page = self.navigate("POST", &url, Some(&host), &form, |next| next.contains(word));
        }
        page
    }

    /// What the provider's logout page asks: yes, sign me out.
    #[track_caller]
    pub fn confirm_provider_logout(&mut self, page: &Page) -> Page {
        let text = page.response.text();
        let action = form_action(page).unwrap_or_else(|| panic!("no logout form on {}: {text}", page.url));
        let xsrf = between(&text, "name=\"xsrf\" value=\"", "\"").expect("the provider's form has an xsrf field");
        self.submit(&origin_of(&page.url), &action, &format!("xsrf={xsrf}&logout=yes"))
    }

    /// What a script on a page of `origin` gets from `fetch(url)`, with credentials; redirects are not followed.
    #[track_caller]
    pub fn fetch(&mut self, origin: &str, method: &str, url: &str) -> Response {
        self.fetch_with(origin, Request::new(method, ""), url)
    }

    /// The same with headers and a body of the caller's.
    #[track_caller]
    pub fn fetch_with(&mut self, origin: &str, request: Request, url: &str) -> Response {
        let url = absolute(origin, url);
        let mut request = request.header("Sec-Fetch-Mode", "cors").header("Sec-Fetch-Dest", "empty");
        request = request.header("Sec-Fetch-Site", relation(Some(origin), &url)).header("Accept", "*/*");
        let simple = matches!(request.method.as_str(), "GET" | "HEAD");
        if !simple || origin_of(&url) != origin {
            request = request.header("Origin", origin);
        }
        self.exchange(request, &url, Some(origin), false)
    }

    /// A GET from a script of the site itself.
    #[track_caller]
    pub fn get(&mut self, site: &str, path: &str) -> Response {
        self.fetch(site, "GET", path)
    }

    /// A POST from a script of the site itself.
    #[track_caller]
    pub fn post(&mut self, site: &str, path: &str) -> Response {
        self.fetch(site, "POST", path)
    }

    /// The body of `/bff/session`.
    #[track_caller]
    pub fn session(&mut self, site: &str) -> serde_json::Value {
        let answer = self.get(site, "/bff/session");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// Whether the gateway takes this browser for signed in.
    #[track_caller]
    pub fn is_signed_in(&mut self, site: &str) -> bool {
        self.session(site)["authenticated"] == true
    }

    /// The cookies of a host whose name contains `word`.
    pub fn cookies(&self, site: &str, word: &str) -> Vec<Cookie> {
        let host = host_of(site);
        let live = self.jar.iter().filter(|cookie| cookie.host == host && cookie.is_live());
        live.filter(|cookie| cookie.name.contains(word)).cloned().collect()
    }

    /// The session cookie of a site.
    pub fn session_cookie(&self, site: &str) -> Option<Cookie> {
        let mut found: Vec<_> =
            self.cookies(site, "cloakroom").into_iter().filter(|one| !one.name.contains("login")).collect();
        assert!(found.len() < 2, "one session cookie per site: {found:?}");
        found.pop()
    }

    /// The cookies of login attempts at a site.
    pub fn login_cookies(&self, site: &str) -> Vec<Cookie> {
        self.cookies(site, "cloakroom").into_iter().filter(|cookie| cookie.name.contains("login")).collect()
    }

    /// What `document.cookie` shows to a script of the site.
    pub fn script_cookies(&self, site: &str) -> Vec<Cookie> {
        self.cookies(site, "").into_iter().filter(|cookie| !cookie.http_only).collect()
    }

    /// Puts a cookie into the jar, as an attacker or a test would.
    pub fn plant(&mut self, site: &str, name: &str, value: &str) {
        let cookie = Cookie {
            host: host_of(site),
            path: "/".into(),
            name: name.into(),
            value: value.into(),
            http_only: true,
            same_site: "lax".into(),
            until: None,
        };
        self.jar.retain(|known| (&known.host, &known.path, &known.name) != (&cookie.host, &cookie.path, &cookie.name));
        self.jar.push(cookie);
    }

    /// Forgets every cookie.
    pub fn clear_cookies(&mut self) {
        self.jar.clear();
    }

    /// Forgets the cookies of one host: whoever logs in there next may be another user.
    pub fn forget(&mut self, origin: &str) {
        let host = host_of(origin);
        self.jar.retain(|cookie| cookie.host != host);
    }

    /// The cookies of a site as a `Cookie` header.
    pub fn cookie_header(&self, site: &str) -> String {
        let pairs: Vec<_> =
            self.cookies(site, "").iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        pairs.join("; ")
    }

    /// Every exchange with hosts that contain `word`.
    pub fn seen(&self, word: &str) -> Vec<&Exchange> {
        self.seen.iter().filter(|exchange| host_of(&exchange.url).contains(word)).collect()
    }

    /// Fails if any byte from the gateway's sites is one of these secrets.
    #[track_caller]
    pub fn saw_none_of(&self, secrets: &[(String, String)]) {
        assert!(!secrets.is_empty(), "nothing to look for");
        for exchange in self.seen(".localhost") {
            for (name, value) in secrets {
                let shown = contains(&exchange.response.head, value.as_bytes())
                    || contains(&exchange.response.body, value.as_bytes());
                assert!(!shown, "the answer to {} shows the {name}", exchange.url);
            }
        }
    }

    #[track_caller]
    fn navigate(
        &mut self,
        method: &str,
        url: &str,
        from: Option<&str>,
        form: &str,
        hold: impl Fn(&str) -> bool,
    ) -> Page {
        let mut url = absolute(from.unwrap_or(""), url);
        let (mut method, mut form) = (method.to_owned(), form.to_owned());
        let mut trail = Vec::new();
        let mut relation_so_far = relation(from, &url);
        loop {
            relation_so_far = worse(relation_so_far, relation(from, &url));
            let mut request = Request::new(&method, "")
                .header("Sec-Fetch-Mode", "navigate")
                .header("Sec-Fetch-Dest", "document")
                .header("Sec-Fetch-Site", relation_so_far)
                .header("Sec-Fetch-User", "?1")
                .header("Upgrade-Insecure-Requests", "1")
                .header("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");
            if method == "POST" {
                request = request.header("Content-Type", "application/x-www-form-urlencoded").body(&form);
                request = request.header("Origin", from.unwrap_or("null"));
            }
            trail.push(url.clone());
            let response = self.exchange(request, &url, from, true);
            let redirect =
                matches!(response.status, 301 | 302 | 303 | 307 | 308).then(|| response.header("location")).flatten();
            let Some(location) = redirect else { return Page { url, response, trail } };
            let next = absolute(&origin_of(&url), location);
            if hold(&next) {
                return Page { url: next, response, trail };
            }
            assert!(trail.len() < LONGEST_TRAIL, "a redirect loop: {trail:#?}");
            if !matches!(response.status, 307 | 308) {
                (method, form) = ("GET".into(), String::new());
            }
            url = next;
        }
    }

    #[track_caller]
    fn exchange(&mut self, mut request: Request, url: &str, from: Option<&str>, top_level: bool) -> Response {
        let url = url.split('#').next().unwrap_or(url);
        let (authority, target) = split(url);
        let host = host_of(url);
        let safe = matches!(request.method.as_str(), "GET" | "HEAD");
        request.target = target.clone();
        request.headers.insert(0, ("Host".into(), authority.clone().into_bytes()));
        request.headers.push(("User-Agent".into(), b"browser model".to_vec()));
        let path = target.split('?').next().unwrap_or("/").to_owned();
        let near = from.is_none_or(|from| relation(Some(from), url) != "cross-site");
        let sent = self.jar.iter().filter(|cookie| {
            let allowed = match cookie.same_site.as_str() {
                "none" => true,
                "strict" => near,
                _ => near || (top_level && safe),
            };
            cookie.host == host && cookie.is_live() && allowed && path_matches(&path, &cookie.path)
        });
        let sent: Vec<String> = sent.map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        if !sent.is_empty() {
            request.headers.push(("Cookie".into(), sent.join("; ").into_bytes()));
        }
        let edge = self.edges.iter().find(|(known, _)| *known == host).map(|(_, port)| *port);
        let response = send(edge.unwrap_or_else(|| port_of(&authority)), &request);
        for line in response.all("set-cookie") {
            self.keep(&host, &path, line);
        }
        self.seen.push(Exchange { url: url.to_owned(), response: response.clone() });
        response
    }

    /// What a browser does with one `Set-Cookie` line (RFC 6265bis §5.6).
    fn keep(&mut self, host: &str, path: &str, line: &str) {
        let mut parts = line.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { return };
        let mut cookie = Cookie {
            host: host.into(),
            path: path.rfind('/').filter(|end| *end > 0).map_or("/", |end| &path[..end]).into(),
            name: name.trim().into(),
            value: value.trim().into(),
            http_only: false,
            same_site: "lax".into(),
            until: None,
        };
        let (mut secure, mut has_domain, mut has_path) = (false, false, false);
        for attribute in parts {
            let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            match key.to_ascii_lowercase().as_str() {
                "secure" => secure = true,
                "httponly" => cookie.http_only = true,
                "domain" => has_domain = true,
                "path" => (has_path, cookie.path) = (value == "/", value.into()),
                "samesite" => cookie.same_site = value.to_ascii_lowercase(),
                "max-age" => cookie.until = Some(after(value.parse().unwrap_or(0))),
                "expires" if cookie.until.is_none() && value.contains("1970") => cookie.until = Some(after(0)),
                _ => {}
            }
        }
        let lower = cookie.name.to_ascii_lowercase();
        let host_rule = !lower.starts_with("__host-") || (secure && has_path && !has_domain);
        let http_rule =
            !(lower.starts_with("__host-http-") || lower.starts_with("__http-")) || (secure && cookie.http_only);
        let secure_rule = !lower.starts_with("__secure-") || secure;
        if !(host_rule && http_rule && secure_rule)
            || (has_domain && host.ends_with("localhost"))
            || (cookie.same_site == "none" && !secure)
        {
            return;
        }
        self.jar.retain(|known| (&known.host, &known.path, &known.name) != (&cookie.host, &cookie.path, &cookie.name));
        if cookie.is_live() {
            self.jar.push(cookie);
        }
    }
}

impl Page {
    /// What a form on it sends without anybody's doing, as a body.
    pub fn hidden_fields(&self) -> String {
        let text = self.response.text();
        let fields = text.split("<input type=\"hidden\" name=\"").skip(1).map(|field| {
            let (name, rest) = field.split_once("\" value=\"").expect("a hidden field has a value");
            let value = rest.split('"').next().unwrap_or_default();
            assert!(!value.contains('&'), "the model does not know HTML's references: {value}");
            (name.to_owned(), value.to_owned())
        });
        let fields: Vec<_> = fields.collect();
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
    }
}

impl Cookie {
    fn is_live(&self) -> bool {
        self.until.is_none_or(|until| until > Instant::now())
    }
}

fn after(seconds: i64) -> Instant {
    Instant::now() + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

/// `http://one.localhost:8080/x?y` is `one.localhost:8080` and `/x?y`.
fn split(url: &str) -> (String, String) {
    let rest = url.split_once("://").unwrap_or_else(|| panic!("not an absolute URL: {url}")).1;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let target = &rest[end..];
    (rest[..end].to_owned(), if target.starts_with('/') { target.to_owned() } else { format!("/{target}") })
}

fn origin_of(url: &str) -> String {
    let scheme = url.split_once("://").map_or("http", |(scheme, _)| scheme);
    format!("{scheme}://{}", split(url).0)
}

fn host_of(url: &str) -> String {
    split(url).0.split(':').next().unwrap_or_default().to_owned()
}

fn port_of(authority: &str) -> u16 {
    authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(80)
}

fn absolute(base: &str, url: &str) -> String {
    if url.starts_with("http://") || url.starts_with("https://") {
        return url.to_owned();
    }
    assert!(url.starts_with('/') && !url.starts_with("//"), "the model cannot follow {url:?} from {base:?}");
    format!("{base}{url}")
}

/// `Sec-Fetch-Site` of one hop. Each name under `localhost` is a site of its own, as `localhost` counts as a public suffix.
fn relation(from: Option<&str>, to: &str) -> &'static str {
    let Some(from) = from else { return "none" };
    let site = |url: &str| {
        let host = host_of(url);
        let labels: Vec<&str> = host.rsplitn(3, '.').take(2).collect();
        if host.ends_with(char::is_numeric) { host.clone() } else { labels.join(".") }
    };
    match () {
        () if origin_of(from) == origin_of(to) => "same-origin",
        () if site(from) == site(to) => "same-site",
        () => "cross-site",
    }
}

/// Over a chain of redirects the most distant relation counts (Fetch Metadata §2.3).
fn worse(a: &'static str, b: &'static str) -> &'static str {
    let order = ["none", "same-origin", "same-site", "cross-site"];
    let rank = |word| order.iter().position(|known| *known == word);
    if rank(a) > rank(b) { a } else { b }
}

fn path_matches(path: &str, cookie: &str) -> bool {
    path == cookie || (path.starts_with(cookie) && (cookie.ends_with('/') || path[cookie.len()..].starts_with('/')))
}

fn form_action(page: &Page) -> Option<String> {
    let text = page.response.text();
    (matches!(page.response.status, 200 | 400) && host_of(&page.url) == "127.0.0.1")
        .then(|| between(&text, "action=\"", "\""))
        .flatten()
}

/// What a form sends along by itself.
fn hidden_fields(text: &str) -> url::form_urlencoded::Serializer<'static, String> {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for field in text.split("<input type=\"hidden\" ").skip(1) {
        let value = |name| between(field, &format!("{name}=\""), "\"").expect("a hidden field has both");
        let unescaped = value("value").replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">");
        form.append_pair(&value("name"), &unescaped.replace("&#39;", "'").replace("&amp;", "&"));
    }
    form
}

fn between(text: &str, before: &str, after: &str) -> Option<String> {
    let start = text.find(before)? + before.len();
    Some(text[start..start + text[start..].find(after)?].to_owned())
}
