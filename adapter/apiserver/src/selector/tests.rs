use proptest::prelude::*;

use super::*;

fn check(text: &str, expected: Result<&str, &str>) {
    match (Selector::parse(text), expected) {
        (Ok(selector), Ok(canonical)) => {
            assert_eq!(selector.to_string(), canonical, "canonical form of {text:?}");
            assert_eq!(Selector::parse(canonical).as_ref(), Ok(&selector), "{canonical:?} parses back");
        }
        (Err(error), Err(part)) => assert!(error.0.contains(part), "{text:?}: {error}, wanted {part:?}"),
        (found, wanted) => panic!("{text:?}: found {found:?}, wanted {wanted:?}"),
    }
}

#[test]
fn labels_that_must_be_there() {
    let selector = Selector::parse("app=web,tier in (a),zone in (a,b),!gone,size!=1,there,n>1").unwrap();
    assert_eq!(selector.labels().collect::<Vec<_>>(), [("app", "web"), ("tier", "a")]);
}

#[test]
fn grammar() {
    let name63 = "n".repeat(63);
    let name64 = "n".repeat(64);
    let value64 = format!("k={name64}");
    let prefixed = format!("{}.example.com/{name63}", "p".repeat(63));
    let prefix254 = format!("{}a/k", "p.".repeat(127));
    for (text, expected) in [
        ("", Ok("")),
        (" \t\r\n", Ok("")),
        ("k=v", Ok("k=v")),
        ("k==v", Ok("k=v")),
        (" k = v ", Ok("k=v")),
        ("k!=v", Ok("k!=v")),
        ("k=", Ok("k=")),
        ("k!=", Ok("k!=")),
        ("k=,a=b", Ok("a=b,k=")),
        ("k", Ok("k")),
        ("!k", Ok("!k")),
        ("! k", Ok("!k")),
        ("k>1", Ok("k>1")),
        ("k < 007", Ok("k<7")),
        ("k in (b,a,b)", Ok("k in (a,b)")),
        ("k in(a)", Ok("k=a")),
        ("k notin ( a , b )", Ok("k notin (a,b)")),
        ("k in (,a)", Ok("k in (,a)")),
        ("k in (a,)", Ok("k in (,a)")),
        ("k in (a,,b)", Ok("k in (,a,b)")),
        ("k in (,)", Ok("k=")),
        ("in in (in)", Ok("in=in")),
        ("in", Ok("in")),
        ("notin=in", Ok("notin=in")),
        ("z,b=c,a", Ok("a,b=c,z")),
        ("a!=1,a!=2", Ok("a!=1,a!=2")),
        ("b,a!=2,a!=1,a!=2,b,a notin (2)", Ok("a!=2,a!=1,b")),
        ("example.com/k=v", Ok("example.com/k=v")),
        ("K_.-9=V_.-9", Ok("K_.-9=V_.-9")),
        (&prefixed, Ok(&prefixed)),
        (&name63, Ok(&name63)),
        // What is refused, and with which words.
        (",", Err("found \",\"")),
        ("k,", Err("ends where an identifier or '!' after ','")),
        ("k=v,,a", Err("after ','")),
        ("k=v a=b", Err("expected ',' or the end")),
        ("k v", Err("one of in, notin, =, ==, !=, >, <")),
        ("!k=v", Err("expected ',' or the end")),
        ("!", Err("ends where an identifier")),
        ("!!k", Err("found \"!\"")),
        ("=v", Err("found \"=\"")),
        ("k===v", Err("found \"=\", expected an identifier")),
        ("k=!v", Err("found \"!\"")),
        ("k in a", Err("expected '('")),
        ("k in ()", Err("cannot be empty")),
        ("k in (a", Err("',' or ')'")),
        ("k in (a,,)", Err("expected ',' or an identifier")),
        ("k in (a b)", Err("',' or ')'")),
        ("k in ((a))", Err("',', ')' or an identifier")),
        ("k in", Err("ends where '('")),
        ("k>", Err("must be an integer")),
        ("k>a", Err("must be an integer")),
        ("k>-1", Err("start and end")),
        ("k>9223372036854775808", Err("must be an integer")),
        ("k=\"v\"", Err("value \"\\\"v\\\"\" of key \"k\"")),
        ("k=a/b", Err("value \"a/b\"")),
        ("k=-v", Err("start and end")),
        ("k=é", Err("value \"é\"")),
        ("-k", Err("key \"-k\"")),
        ("a/b/c", Err("key \"a/b/c\"")),
        ("/k", Err("part before '/'")),
        ("a/", Err("the name must be")),
        ("Example.com/k", Err("part before '/'")),
        ("a..b/k", Err("part before '/'")),
        ("k\0=v", Err("NUL")),
        (&name64, Err("the name must be")),
        (&value64, Err("at most 63")),
        (&prefix254, Err("at most 253")),
    ] {
        check(text, expected);
    }
}

#[test]
fn what_matching_costs_is_bounded() {
    let join = |parts: std::ops::Range<usize>| parts.map(|n| format!("k{n}")).collect::<Vec<_>>().join(",");
    check(&"k,".repeat(MAX_SELECTOR_BYTES), Err("16384 bytes, at most 8192 are read"));
    check(&join(0..65), Err("65 requirements, at most 64 are allowed"));
    let sets = |values: usize| format!("a in ({}),b notin ({})", join(0..1000), join(0..values));
    check(&sets(25), Err("1025 values, at most 1024 are allowed"));
    for text in [join(0..64), sets(24)] {
        assert!(Selector::parse(&text).is_ok(), "{text}");
    }
    // What is said twice costs once.
    assert_eq!(Selector::parse(&"!k,k=v,".repeat(500)[..3499]).unwrap().to_string(), "!k,k=v");
    let set = format!("a in ({})", join(0..600));
    assert!(Selector::parse(&format!("{set},{set}")).is_ok());
}

#[test]
fn semantics() {
    let labels = [("app", "web"), ("n", "5"), ("empty", ""), ("minus", "-3")];
    let label = |key: &str| labels.iter().find(|(k, _)| *k == key).map(|(_, v)| *v);
    for (text, expected) in [
        ("", true),
        ("app=web", true),
        ("app=db", false),
        ("app!=db", true),
        ("app!=web", false),
        ("absent!=x", true),
        ("absent=x", false),
        ("absent=", false),
        ("empty=", true),
        ("app in (db,web)", true),
        ("app notin (db,web)", false),
        ("absent notin (a)", true),
        ("app", true),
        ("absent", false),
        ("!absent", true),
        ("!app", false),
        ("n>4", true),
        ("n>5", false),
        ("n<6", true),
        ("n<5", false),
        ("minus<0", true),
        ("app>0", false),
        ("absent<9", false),
        ("app=web,n>4,!absent", true),
        ("app=web,n>5", false),
    ] {
        assert_eq!(Selector::parse(text).unwrap().matches(label), expected, "{text:?}");
    }
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "[a-c=!(),<> \\-/.\\PC]{0,40}") {
        if let Ok(selector) = Selector::parse(&text) {
            let canonical = selector.to_string();
            prop_assert_eq!(Selector::parse(&canonical), Ok(selector));
        }
    }
}
