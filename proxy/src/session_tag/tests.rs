use proptest::prelude::*;

use super::*;

const ALICE: Holder<'_> = Holder {
    issuer: "https://idp.example",
    subject: "alice",
    target: "files",
    key: None,
    certificate: None,
};
const SESSION: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);

fn secret(byte: u8) -> SecretSlice<u8> {
    vec![byte; MIN_KEY].into()
}

fn keys(bytes: &[u8]) -> TagKeys {
    TagKeys::new(bytes.iter().map(|&byte| secret(byte)).collect()).expect("the keys are long enough")
}

fn tagged(keys: &TagKeys, id: &str) -> String {
    keys.tag(id, SESSION, ALICE).expect("the id is visible ASCII")
}

#[test]
fn a_tagged_id_gives_back_the_targets_id_and_the_session() {
    let keys = keys(&[1]);
    let tagged = tagged(&keys, "abc-123");
    assert!(tagged.starts_with("abc-123."));
    assert_eq!(
        keys.verify(&tagged, ALICE),
        Ok(Verified {
            target_session_id: "abc-123",
            session: SESSION
        })
    );
}

#[test]
fn a_tag_is_of_no_use_to_anyone_else() {
    let keys = keys(&[1]);
    let tagged = tagged(&keys, "abc");
    for other in [
        Holder {
            subject: "bob",
            ..ALICE
        },
        Holder {
            issuer: "https://other.example",
            ..ALICE
        },
        Holder {
            target: "mail",
            ..ALICE
        },
        // The same characters, divided otherwise.
        Holder {
            issuer: "https://idp.examplea",
            subject: "lice",
            ..ALICE
        },
        Holder {
            subject: "alicef",
            target: "iles",
            ..ALICE
        },
    ] {
        assert_eq!(keys.verify(&tagged, other), Err(TagError::Forged), "{other:?}");
    }
}

#[test]
fn a_session_of_a_bound_token_is_of_no_use_to_another_device() {
    let keys = keys(&[1]);
    let thumbprint = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
    let devices = [
        ALICE,
        Holder {
            key: Some(thumbprint),
            ..ALICE
        },
        Holder {
            key: Some("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
            ..ALICE
        },
        Holder {
            certificate: Some([7; 32]),
            ..ALICE
        },
        Holder {
            certificate: Some([8; 32]),
            ..ALICE
        },
        Holder {
            key: Some(thumbprint),
            certificate: Some([7; 32]),
            ..ALICE
        },
    ];
    for opener in devices {
        let tagged = keys.tag("abc", SESSION, opener).expect("the id is visible ASCII");
        for user in devices {
            assert_eq!(
                keys.verify(&tagged, user).is_ok(),
                user == opener,
                "{opener:?} {user:?}"
            );
        }
    }
}

#[test]
fn an_id_without_a_tag_is_told_from_a_broken_one() {
    let keys = keys(&[1]);
    let tagged = tagged(&keys, "abc");
    for missing in [
        "abc",
        "a",
        &tagged[1..tagged.len() - 1],
        &tagged[3..],
        &format!("a.{}", "A".repeat(47)),
    ] {
        assert_eq!(keys.verify(missing, ALICE), Err(TagError::Missing), "{missing}");
    }
    let broken = format!("abc.{}!", &tagged[4..tagged.len() - 1]);
    for malformed in ["", "a b", "a\u{e9}", "a\n", &broken, &"a".repeat(MAX_TAGGED + 1)] {
        assert_eq!(keys.verify(malformed, ALICE), Err(TagError::Malformed), "{malformed}");
    }
}

#[test]
fn rotated_keys_still_verify_until_they_are_removed() {
    let (old, both, new) = (keys(&[1]), keys(&[2, 1]), keys(&[2]));
    let before = tagged(&old, "abc");
    assert!(both.verify(&before, ALICE).is_ok());
    assert_eq!(new.verify(&before, ALICE), Err(TagError::UnknownKey));
    let after = tagged(&both, "abc");
    assert!(new.verify(&after, ALICE).is_ok(), "the first key signs");
    assert_eq!(old.verify(&after, ALICE), Err(TagError::UnknownKey));
}

#[test]
fn an_id_that_looks_tagged_is_tagged_again() {
    let keys = keys(&[1]);
    let inner = tagged(&keys, "abc");
    let outer = tagged(&keys, &inner);
    assert_eq!(
        keys.verify(&outer, ALICE).map(|verified| verified.target_session_id),
        Ok(&inner[..])
    );
}

#[test]
fn what_is_no_session_id_is_not_tagged() {
    for id in ["", " ", "a b", "a\u{7f}", "é", &"a".repeat(MAX_TARGET_ID + 1)] {
        assert_eq!(keys(&[1]).tag(id, SESSION, ALICE), Err(TagError::Malformed), "{id}");
    }
    assert_eq!(tagged(&keys(&[1]), &"a".repeat(MAX_TARGET_ID)).len(), MAX_TAGGED);
}

#[test]
fn weak_or_absent_keys_are_refused() {
    assert_eq!(TagKeys::new(vec![]).map(drop), Err(TagKeysError::None));
    let short = vec![secret(1), vec![2; MIN_KEY - 1].into()];
    assert_eq!(TagKeys::new(short).map(drop), Err(TagKeysError::TooShort(1)));
}

#[test]
fn keys_are_not_in_debug_output() {
    let shown = format!("{:?}", keys(&[0x41]));
    assert!(
        shown.contains("REDACTED") && !shown.contains("65") && !shown.contains("AAAA"),
        "{shown}"
    );
}

proptest! {
    #[test]
    fn every_visible_id_comes_back(id in "[!-~]{1,200}", issuer in ".*", subject in ".*", target in "[a-z]{1,8}", session in any::<u128>()) {
        let keys = keys(&[7]);
        let holder = Holder { issuer: &issuer, subject: &subject, target: &target, ..ALICE };
        let session = Uuid::from_u128(session);
        let tagged = keys.tag(&id, session, holder).expect("the id is visible ASCII");
        prop_assert!(tagged.bytes().all(|byte| byte.is_ascii_graphic()));
        prop_assert_eq!(keys.verify(&tagged, holder), Ok(Verified { target_session_id: &id, session }));
    }

    #[test]
    fn a_changed_character_anywhere_is_refused(id in "[!-~]{1,40}", at in any::<prop::sample::Index>(), to in b'!'..=b'~') {
        let keys = keys(&[7]);
        let mut changed = tagged(&keys, &id).into_bytes();
        let at = at.index(changed.len());
        prop_assume!(changed[at] != to);
        changed[at] = to;
        let changed = String::from_utf8(changed).expect("visible ASCII");
        prop_assert!(keys.verify(&changed, ALICE).is_err());
    }

    #[test]
    fn arbitrary_ids_are_refused(id in ".{0,120}") {
        prop_assert!(keys(&[7]).verify(&id, ALICE).is_err());
    }
}
