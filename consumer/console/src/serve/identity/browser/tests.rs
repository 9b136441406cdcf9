use std::time::{Duration, SystemTime};

use tapedeck_config::SharedKeys;

use super::{BrowserSession, BrowserSessions, LONGEST};
use crate::serve::config::Config;
use crate::serve::identity::User;
use crate::serve::identity::seal::Seals;

/// Sessions of a hundred seconds, or ten unused.
fn sessions(keys: &SharedKeys) -> BrowserSessions {
    let text = "listen = \"127.0.0.1:0\"\npublic_url = \"https://console.test\"\n[clickhouse]\nurl = \"http://127.0.0.1:1\"\n\
        [access_log]\nurl = \"http://127.0.0.1:1\"\n[issuer]\nurl = \"https://login.example\"\nclient_id = \"tapedeck\"\n\
        [roles]\nviewer = \"staff\"\n[limits]\nsession = \"100s\"\nsession_idle = \"10s\"\n";
    let config = tapedeck_config::read_text("test.toml", text, Config::build).expect("it is right");
    BrowserSessions::new(&config, Seals::new(keys)).expect("there are roots")
}

fn start() -> SystemTime {
    // Whole seconds: that is what a cookie holds.
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn after(seconds: u64) -> SystemTime {
    start() + Duration::from_secs(seconds)
}

fn begin(sessions: &BrowserSessions) -> String {
    let begun = sessions.begin(User::for_test("alice", &["staff"]), &"an ID token".into(), start());
    begun.expect("it fits").session
}

fn opened(sessions: &BrowserSessions, cookie: &str) -> BrowserSession {
    sessions.open(cookie, start()).expect("it is one of ours")
}

#[test]
fn a_session_ends_when_it_is_old_or_idle() {
    let sessions = sessions(&SharedKeys::random());
    let mut cookie = begin(&sessions);
    assert!(sessions.open(&cookie, after(9)).is_some());
    assert!(sessions.open(&cookie, after(10)).is_none(), "nobody has used it");
    for second in (5..100).step_by(5) {
        let session = sessions.open(&cookie, after(second)).expect("it was used");
        let (renewed, rest) = sessions.renew(&session, after(second)).expect("it is due");
        assert_eq!(rest, Duration::from_secs(100 - second));
        cookie = renewed;
    }
    assert!(sessions.open(&cookie, after(99)).is_some());
    assert!(
        sessions.open(&cookie, after(100)).is_none(),
        "it is old, however much it is used"
    );
    let early = sessions.open(&begin(&sessions), start() - Duration::from_secs(61));
    assert!(early.is_none(), "it has not begun, whatever clocks say");
}

#[test]
fn a_session_outlives_the_process_and_is_known_to_every_replica_with_the_keys() {
    let keys = SharedKeys::random();
    let cookie = begin(&sessions(&keys));
    let session = opened(&sessions(&keys), &cookie);
    assert_eq!(
        (session.user.subject(), session.user.groups()),
        ("alice", &["staff".to_owned()][..])
    );
    assert_eq!(
        session.csrf,
        opened(&sessions(&keys), &cookie).csrf,
        "a page of one replica works with another"
    );
    assert!(sessions(&SharedKeys::random()).open(&cookie, start()).is_none());
}

#[test]
fn a_renewed_cookie_is_the_same_session_and_is_not_made_for_every_request() {
    let sessions = sessions(&SharedKeys::random());
    let session = opened(&sessions, &begin(&sessions));
    assert!(sessions.renew(&session, start()).is_none());
    let (renewed, _) = sessions.renew(&session, after(1)).expect("it is due");
    let again = sessions.open(&renewed, after(1)).expect("it is one of ours");
    assert_eq!(
        (again.id, again.csrf, again.begun),
        (session.id, session.csrf, session.begun)
    );
}

#[test]
fn two_sessions_of_one_person_are_two() {
    let sessions = sessions(&SharedKeys::random());
    let (one, other) = (
        opened(&sessions, &begin(&sessions)),
        opened(&sessions, &begin(&sessions)),
    );
    assert!(one.id != other.id && one.csrf != other.csrf);
}

#[test]
fn an_id_token_is_kept_for_its_own_session_and_only_where_there_is_room() {
    let sessions = sessions(&SharedKeys::random());
    let begin = |token: &str| {
        sessions
            .begin(User::for_test("alice", &[]), &token.into(), start())
            .expect("it fits")
    };
    let (mine, other) = (begin("mine"), begin("other"));
    let session = opened(&sessions, &mine.session);
    let hint = |cookie: &Option<String>| sessions.open_hint(&session, cookie.as_deref().expect("there is room"));
    assert!(hint(&mine.hint).is_some());
    assert!(hint(&other.hint).is_none(), "it is another session's");
    assert!(
        sessions.open_hint(&session, &mine.session).is_none(),
        "a session is no ID token"
    );
    assert!(begin(&"x".repeat(LONGEST)).hint.is_none());
}

#[test]
fn nobody_is_signed_in_with_half_of_their_groups() {
    let sessions = sessions(&SharedKeys::random());
    let groups: Vec<String> = (0..500).map(|number| format!("group-{number}")).collect();
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    assert!(
        sessions
            .begin(User::for_test("alice", &groups), &"token".into(), start())
            .is_err()
    );
}
