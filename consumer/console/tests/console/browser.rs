//! A browser, as far as a sign-in needs one: cookies by origin, redirects, and forms that are filled in.

use std::collections::BTreeMap;

use reqwest::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Method, Url};

use crate::stack::{Answer, answer, http};

/// A browser without scripts.
#[derive(Default)]
pub(crate) struct Browser {
    /// By origin, path and name.
    cookies: BTreeMap<(String, String, String), String>,
}

impl Browser {
    /// The cookie of that name at an origin.
    pub(crate) fn cookie(&self, origin: &str, name: &str) -> Option<&str> {
        let key = (origin.to_owned(), "/".to_owned(), name.to_owned());
        self.cookies.get(&key).map(String::as_str)
    }

    /// The cookie that holds the ID token.
    pub(crate) fn hint(&self, origin: &str) -> Option<&str> {
        let key = (
            origin.to_owned(),
            "/auth/sign-out".to_owned(),
            "__Secure-tapedeck-hint".to_owned(),
        );
        self.cookies.get(&key).map(String::as_str)
    }

    /// Shows the cookies of one origin to another as well: to a browser, all replicas have one name.
    pub(crate) fn carry(&mut self, from: &str, to: &str) {
        let own = self.cookies.iter().filter(|((origin, _, _), _)| origin == from);
        let carried: Vec<_> = own
            .map(|((_, path, name), value)| ((to.to_owned(), path.clone(), name.clone()), value.clone()))
            .collect();
        self.cookies.extend(carried);
    }

    /// Goes there, follows no redirect.
    pub(crate) async fn request(
        &mut self,
        method: Method,
        url: &Url,
        fields: &[(&str, &str)],
        body: Option<String>,
    ) -> Answer {
        let origin = url.origin().ascii_serialization();
        let mut request = http().request(method, url.clone());
        let fitting = self
            .cookies
            .iter()
            .filter(|((of, path, _), _)| *of == origin && url.path().starts_with(path));
        let cookies: Vec<String> = fitting.map(|((_, _, name), value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies.join("; "));
        }
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(body);
        }
        let answer = answer(request).await;
        for line in answer.headers.get_all(SET_COOKIE) {
            self.store(&origin, line.to_str().expect("a cookie"));
        }
        answer
    }

    pub(crate) async fn get(&mut self, url: &str) -> Answer {
        let url = Url::parse(url).expect("a URL");
        self.request(Method::GET, &url, &[], None).await
    }

    fn store(&mut self, origin: &str, line: &str) {
        let mut parts = line.split(';').map(str::trim);
        let (name, value) = parts
            .next()
            .and_then(|pair| pair.split_once('='))
            .expect("a name and a value");
        let attributes: BTreeMap<String, &str> = parts
            .map(|part| part.split_once('=').unwrap_or((part, "")))
            .map(|(name, value)| (name.to_lowercase(), value))
            .collect();
        let path = attributes.get("path").copied().unwrap_or("/");
        let key = (origin.to_owned(), path.to_owned(), name.to_owned());
        let is_past = attributes.get("expires").is_some_and(|when| when.contains("1970"));
        match is_past || attributes.get("max-age") == Some(&"0") {
            true => drop(self.cookies.remove(&key)),
            false => drop(self.cookies.insert(key, value.to_owned())),
        }
    }

    /// Signs in at the console as a person does, up to where the console sends the browser afterwards.
    pub(crate) async fn sign_in(&mut self, console: &str, login: &str) -> Answer {
        self.walk(&format!("{console}/auth/sign-in?return_to=/api/v1/me"), login)
            .await
    }

    /// Goes from page to page as a person does who wants to sign in, up to the answer of a callback, or a page on which
    /// nothing is left to be filled in.
    pub(crate) async fn walk(&mut self, from: &str, login: &str) -> Answer {
        let mut url = Url::parse(from).expect("a URL");
        let (mut method, mut body) = (Method::GET, None);
        for _page in 0..20 {
            let answer = self.request(method, &url, &[], body.take()).await;
            let was_callback = url.path() == "/auth/callback";
            if let Some(location) = answer.headers.get(LOCATION) {
                if was_callback {
                    return answer;
                }
                url = url.join(location.to_str().expect("a URL")).expect("a URL");
                method = Method::GET;
                continue;
            }
            if was_callback || !answer.body.contains("<form") {
                return answer;
            }
            assert!(
                answer.status.is_success(),
                "{} at {url}: {}",
                answer.status,
                answer.body
            );
            let (to, fields) = submission(&answer.body, login);
            url = url.join(&to).expect("a URL");
            (method, body) = (Method::POST, Some(fields));
        }
        panic!("the sign-in does not end");
    }
}

/// The page's form, filled in: the login goes where a text field asks for it, hidden fields go back as they came.
fn submission(html: &str, login: &str) -> (String, String) {
    let form = html.split("<form").nth(1).unwrap_or_else(|| panic!("no form: {html}"));
    let form = form.split("</form>").next().expect("a split has a first part");
    let action = attribute(form, "action").expect("a form goes somewhere");
    let mut fields = Url::parse("http://fields/").expect("a URL");
    for input in form.split("<input").skip(1) {
        let input = input.split('>').next().expect("a split has a first part");
        let Some(name) = attribute(input, "name") else { continue };
        let value = match attribute(input, "type").as_deref().unwrap_or("text") {
            "text" | "email" => login.to_owned(),
            "password" => "any password".to_owned(),
            _ => attribute(input, "value").unwrap_or_default(),
        };
        fields.query_pairs_mut().append_pair(&name, &value);
    }
    (action, fields.query().unwrap_or_default().to_owned())
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!("{name}=\""))?;
    Some(rest.split_once('"')?.0.replace("&amp;", "&"))
}
