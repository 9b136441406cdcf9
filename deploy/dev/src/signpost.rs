//! Where everything is once the stack is up, and what to try.

use tapedeck_dev::binaries::binaries;
use tapedeck_dev::identity::Machine;
use tapedeck_dev::stack::Stack;

use crate::terminal::Terminal;
use crate::up::USER;

/// Prints endpoints and commands that work as they stand.
pub(crate) async fn print(stack: &Stack, terminal: &Terminal) -> anyhow::Result<()> {
    let endpoint = stack.endpoint();
    let (kafka, database) = (&stack.kafka, &stack.database);
    terminal.heading("Endpoints");
    let pages = match &stack.console {
        Some(console) => format!("{}/ (sign in as {USER}, with any password)", console.url()),
        None => "none: it registers itself only at the stack's own issuer".to_owned(),
    };
    for (name, place) in [
        ("console", pages.as_str()),
        ("MCP, recorded", endpoint.as_str()),
        ("proxy's metrics", &format!("{}/metrics", stack.proxy.service().admin())),
        (
            "consumer's metrics",
            &format!("{}/metrics", stack.consumer.service().admin()),
        ),
        ("issuer", &stack.issuer),
        ("Kafka", &format!("{} (topics {}.*)", kafka.brokers, kafka.topic_prefix)),
        (
            "ClickHouse",
            &format!("{}/play (database {})", database.url, database.name),
        ),
        ("data and logs", &stack.run.path().display().to_string()),
    ] {
        terminal.line(&format!("  {name:<20}{place}"));
    }

    let token = match &stack.identity {
        None => "$TAPEDECK_DEV_TOKEN".to_owned(),
        Some(identity) => {
            let login = |machine: &Machine| format!("{}:{}", machine.id, machine.secret);
            machine_token(
                &identity.machines().first().map(login).unwrap_or_default(),
                &stack.issuer,
                &endpoint,
            )
        }
    };
    terminal.heading("Talk to the target through the proxy");
    terminal.line(&format!("  TOKEN={token}"));
    terminal.line(&format!("  {}", initialize(&endpoint)));
    if stack.identity.is_some() {
        terminal.line("  or point any MCP client there and sign in, with any password, as alice, who may use it;");
        terminal.line("  mallory and all others may not");
    }

    let console = binaries().await?.console.display();
    let login = database.console_arguments().join(" ");
    let (url, name) = (&database.url, &database.name);
    let (brokers, topic) = (&kafka.brokers, kafka.frames());
    terminal.heading("Look at what was recorded");
    if let Some(server) = &stack.console {
        terminal.line(&format!(
            "  open {}/ : the browser warns of its certificate, which it has made itself",
            server.url()
        ));
    }
    terminal.line(&format!("  {console} sessions {login}"));
    terminal.line(&format!("  {console} replay SESSION {login}"));
    terminal.line(&format!("  curl -s '{url}/?database={name}' --data-binary \"{CALLS}\""));
    terminal.line(&format!(
        "  kcat -b {brokers} -C -t {topic} -o beginning -e -f '%T %p/%o %S bytes\\n'"
    ));
    terminal.line("");
    Ok(())
}

/// What was called, by whom, and what came back.
const CALLS: &str = "SELECT time, direction, principal_name, rpc_name, payload FROM frames \
                     WHERE rpc_method = 'tools/call' ORDER BY time FORMAT Vertical";

/// A shell expression that gets a token by client credentials.
fn machine_token(login: &str, issuer: &str, audience: &str) -> String {
    format!(
        r#"$(curl -s -u {login} -d grant_type=client_credentials -d scope=mcp -d resource={audience} \
    {issuer}/token | sed 's/.*"access_token":"\([^"]*\)".*/\1/')"#
    )
}

/// A shell command that opens a session.
fn initialize(endpoint: &str) -> String {
    let message = concat!(
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","#,
        r#""capabilities":{},"clientInfo":{"name":"curl","version":"1"}}}"#
    );
    format!(
        r#"curl -i {endpoint} -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
    -H 'Accept: application/json, text/event-stream' \
    -d '{message}'"#
    )
}
