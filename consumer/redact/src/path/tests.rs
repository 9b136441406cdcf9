use super::{Child, Paths, parse::parse};
use crate::key_names::KeyNames;
use Child::{Index, Name};

/// Whether a path selects the place that these lead to, at any level of them.
fn selects(path: &str, way: &[Child<'_>]) -> bool {
    let mut paths = Paths::default();
    paths.add(path, 7, &mut KeyNames::default()).expect("the path is sound");
    let mut states = paths.starts(|_| true);
    let mut last = None;
    for child in way {
        (states, last) = paths.enter(states, *child);
    }
    last == Some(7)
}

#[test]
fn selectors_of_every_kind_are_followed() {
    let args = [Name("params"), Name("arguments"), Name("password")];
    let deep = [Name("a"), Index(3), Name("customer"), Name("name")];
    for (path, way, selected) in [
        ("$.params.arguments.password", &args[..], true),
        ("$['params'][\"arguments\"].password", &args, true),
        ("$.params.arguments", &args, false),
        ("$.params.*.password", &args, true),
        ("$..password", &args, true),
        ("$..customer.name", &deep, true),
        ("$..name", &deep, true),
        ("$.customer.name", &deep, false),
        ("$.a[3].customer.name", &deep, true),
        ("$.a[2].customer.name", &deep, false),
        ("$.a[1:4].customer['name']", &deep, true),
        ("$.a[1:4:2]..name", &deep, true),
        ("$.a[0:4:2]..name", &deep, false),
        ("$.a[0, 3][*].name", &deep, true),
        ("$..[*]..['name', 'x']", &deep, true),
        ("$.*", &[Name("x")], true),
        ("$[*]", &[Index(0)], true),
    ] {
        assert_eq!(selects(path, way), selected, "{path}");
    }
}

#[test]
fn names_are_read_with_their_escapes() {
    assert!(selects(r"$['it\'s']", &[Name("it's")]));
    assert!(selects(r#"$["\u00e9\ud83d\ude00\n"]"#, &[Name("é\u{1f600}\n")]));
    assert!(selects("$.é_1", &[Name("é_1")]));
}

#[test]
fn what_is_no_path_is_refused_with_its_place() {
    for (path, place) in [
        ("params.x", "at character 1"),
        ("$.", "at character 3"),
        ("$.1", "at character 3"),
        ("$x", "at character 2"),
        ("$['a", "at character 5"),
        ("$[01]", "at character 3"),
        ("$[-1]", "at character 3"),
        ("$[?@.a == 1]", "at character 3"),
        ("$['\\x']", "at character 6"),
        ("$[1", "at character 4"),
        ("$[::0]", "at character 6"),
    ] {
        let error = parse(path).expect_err(path);
        assert!(error.ends_with(place), "{path}: {error}");
    }
    assert!(Paths::default().add("$", 0, &mut KeyNames::default()).is_err());
}
