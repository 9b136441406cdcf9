//! The API asked by a program that knows nothing of it but its description.

use tapedeck_dev::folder::{Folder, Site};
use tapedeck_dev::progress::Quiet;
use tapedeck_dev::schemathesis::Schemathesis;

use crate::stack::Stack;

#[tokio::test]
async fn whatever_the_description_lets_clients_ask_no_answer_is_a_fault_of_ours() {
    let stack = Stack::get().await;
    let folder = Folder::open().expect("a folder for parts");
    let run = folder.run("test-described").expect("a folder for this run");
    let site = Site {
        folder: &folder,
        run: &run,
        progress: &Quiet,
    };
    let schemathesis = Schemathesis::open(site).await.expect("it is installed");
    let arguments = [
        "--checks",
        "not_a_server_error",
        "--phases",
        "examples,coverage,fuzzing",
        "--max-examples",
        "8",
        // Several threads that parse Python at once break Python 3.11 (its issue 106905).
        "--workers",
        "1",
        // Streams do not end.
        "--exclude-path-regex",
        "/live$",
        "--max-redirects",
        "0",
        "--request-timeout",
        "60",
        "--suppress-health-check",
        "all",
        "--warnings",
        "off",
    ];
    let url = format!("{}/api/openapi.json", stack.url);
    let findings = schemathesis.run(&url, stack.token("ada"), &arguments).await;
    let findings = findings.expect("it runs to its end");
    assert!(findings.is_clean, "{}", findings.report);
    let asked = "SELECT count() FROM access_log WHERE user_agent LIKE 'schemathesis/%'";
    let asked = stack.number(asked).await;
    assert!(asked > 200, "only {asked} questions were asked: {}", findings.report);
}
