// The person at the browser: follows redirects, signs in, consents, and reads the code that comes back. Nothing else of
// a client is here.
const MAX_PAGES = 20;

/**
 * Cookies per origin, as far as a sign-in needs them: by name, the path compared, `Secure` and expiry (in the past)
 * heeded.
 */
class Cookies {
  #jar = new Map();

  store(url, response) {
    for (const line of response.headers.getSetCookie()) {
      const [pair, ...attributes] = line.split(";").map((part) => part.trim());
      const [name, ...value] = pair.split("=");
      const named = (text) => [text.split("=")[0].toLowerCase(), text.slice(text.indexOf("=") + 1)];
      const attribute = Object.fromEntries(attributes.map(named));
      const key = `${url.origin} ${attribute.path ?? "/"} ${name}`;
      const expired = attribute.expires !== undefined && Date.parse(attribute.expires) < Date.now();
      if (expired || attribute["max-age"] === "0") this.#jar.delete(key);
      else this.#jar.set(key, { origin: url.origin, path: attribute.path ?? "/", pair: `${name}=${value.join("=")}` });
    }
  }

  for(url) {
    const fits = ({ origin, path }) => origin === url.origin && url.pathname.startsWith(path);
    return [...this.#jar.values()].filter(fits).map(({ pair }) => pair).join("; ");
  }
}

const ENTITIES = { "&amp;": "&", "&quot;": '"', "&#39;": "'", "&lt;": "<", "&gt;": ">" };
const unescape = (text) => text.replace(/&(?:amp|quot|#39|lt|gt);/g, (entity) => ENTITIES[entity]);

/** The page's form, filled in: the login goes where a text field asks for it, hidden fields go back as they came. */
function submission(url, html, login) {
  const form = /<form[^>]*action="([^"]*)"[^>]*>([\s\S]*?)<\/form>/i.exec(html);
  if (!form) throw new Error(`${url} shows neither a form nor a redirect`);
  const fields = new URLSearchParams();
  for (const [, attributes] of form[2].matchAll(/<input([^>]*)>/gi)) {
    const name = /name="([^"]*)"/.exec(attributes)?.[1];
    if (!name) continue;
    const type = /type="([^"]*)"/.exec(attributes)?.[1] ?? "text";
    const asked = { text: login, email: login, password: "any password" };
    fields.set(name, asked[type] ?? unescape(/value="([^"]*)"/.exec(attributes)?.[1] ?? ""));
  }
  return { url: new URL(unescape(form[1]), url), body: fields };
}

/**
 * Goes to the authorization URL as `login` and comes back with the authorization code.
 * @param {URL} authorizationUrl
 * @param {string} redirectUrl where the client waits for the code; never called, only recognized
 * @param {string} login
 * @returns {Promise<string>}
 */
export async function signIn(authorizationUrl, redirectUrl, login) {
  const cookies = new Cookies();
  let next = { url: authorizationUrl };
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const response = await fetch(next.url, {
      method: next.body ? "POST" : "GET",
      body: next.body,
      redirect: "manual",
      headers: { cookie: cookies.for(next.url) },
    });
    cookies.store(next.url, response);
    const location = response.headers.get("location");
    const html = await response.text();
    if (location) {
      const to = new URL(location, next.url);
      if (!to.href.startsWith(redirectUrl)) {
        next = { url: to };
        continue;
      }
      const code = to.searchParams.get("code");
      if (code) return code;
      throw new Error(`sign-in refused: ${to.searchParams.get("error")}: ${to.searchParams.get("error_description")}`);
    }
    if (!response.ok) throw new Error(`sign-in failed: ${response.status} at ${next.url.origin}${next.url.pathname}`);
    next = submission(next.url, html, login);
  }
  throw new Error(`sign-in went over ${MAX_PAGES} pages without an end`);
}
