use super::*;
use bytes::Bytes;
use proptest::prelude::*;

const SMALL: Limits = Limits { head_bytes: 64, headers: 3, body_bytes: 16 };

fn decode_all(bytes: &[u8], limits: Limits) -> Result<Vec<Frame>, DecodeError> {
    decode_pieces([bytes], limits)
}

fn decode_pieces<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    limits: Limits,
) -> Result<Vec<Frame>, DecodeError> {
    let mut decoder = Decoder::new(limits);
    let mut frames = Vec::new();
    for piece in pieces {
        decoder.buffer().extend_from_slice(piece);
        while let Some(frame) = decoder.next_frame()? {
            frames.push(frame);
        }
    }
    Ok(frames)
}

#[test]
fn frames_as_the_specification_writes_them() {
    let send = |destination: &str| Frame::new(Command::Send).with("destination", destination);
    let cases: &[(&str, &[u8], Vec<Frame>)] = &[
        ("nothing", b"", vec![]),
        ("heart-beats alone", b"\n\r\n\n", vec![]),
        ("incomplete head", b"SEND\ndestination:/queue/a\n", vec![]),
        ("incomplete body", b"SEND\ndestination:/queue/a\n\nhel", vec![]),
        ("body up to NUL", b"SEND\ndestination:/queue/a\n\nhello\0", vec![send("/queue/a").body("hello")]),
        ("CRLF", b"SEND\r\ndestination:/queue/a\r\n\r\nhello\0", vec![send("/queue/a").body("hello")]),
        (
            "content-length lets a body hold NUL",
            b"SEND\ndestination:/queue/a\ncontent-length:3\n\na\0b\0",
            vec![send("/queue/a").body(&b"a\0b"[..])],
        ),
        (
            "the first content-length counts",
            b"SEND\ndestination:q\ncontent-length:1\ncontent-length:9\n\na\0",
            vec![send("q").body("a")],
        ),
        (
            "two frames with heart-beats around",
            b"\nSEND\ndestination:a\n\n\0\n\nSEND\ndestination:b\n\n\0\n",
            vec![send("a"), send("b")],
        ),
        ("escapes", b"SEND\ndestination:a\\cb\\nc\\rd\\\\e\n\n\0", vec![send("a:b\nc\rd\\e")]),
        ("a colon in a value is lenience", b"SEND\ndestination:a:b\n\n\0", vec![send("a:b")]),
        (
            "CONNECT knows no escapes",
            b"CONNECT\npasscode:a\\cb:c\n\n\0",
            vec![Frame::new(Command::Connect).with("passcode", "a\\cb:c")],
        ),
        ("blanks are content", b"SEND\ndestination: a \n\n\0", vec![send(" a ")]),
        ("an empty value", b"SEND\ndestination:\n\n\0", vec![send("")]),
    ];
    for (case, bytes, frames) in cases {
        assert_eq!(decode_all(bytes, Limits::default()).as_ref(), Ok(frames), "{case}");
    }
}

#[test]
fn the_first_of_a_repeated_header_counts() {
    let frames = decode_all(b"MESSAGE\nfoo:World\nfoo:Hello\n\n\0", Limits::default()).unwrap();
    assert_eq!(frames[0].header("foo"), Some("World"));
    assert_eq!(frames[0].headers.len(), 2);
}

#[test]
fn what_is_not_a_frame_is_refused() {
    use DecodeError as E;
    let long = [b"SEND\na:".as_slice(), &[b'x'; 80]].concat();
    let cases: &[(&str, &[u8], DecodeError)] = &[
        ("garbage", b"\xff\xfe\n\n", E::UnknownCommand("\u{fffd}\u{fffd}".into())),
        ("HTTP", b"GET / HTTP/1.1\r\n\r\n", E::UnknownCommand("GET / HTTP/1.1".into())),
        ("lower case", b"send\n\n\0", E::UnknownCommand("send".into())),
        ("no colon", b"SEND\nnope\n\n\0", E::MalformedHeader("nope".into())),
        ("no name", b"SEND\n:x\n\n\0", E::MalformedHeader(":x".into())),
        ("bare CR", b"SEND\na:b\rc\n\n\0", E::MalformedHeader("a:b\rc".into())),
        ("not UTF-8", b"SEND\na:\xff\n\n\0", E::MalformedHeader("a:\u{fffd}".into())),
        ("undefined escape", b"SEND\na:\\t\n\n\0", E::UndefinedEscape("a:\\t".into())),
        ("escape at the end", b"SEND\na:x\\\n\n\0", E::UndefinedEscape("a:x\\".into())),
        ("NUL in the head", b"SEND\na:b\0", E::NulInHead),
        ("negative length", b"SEND\ncontent-length:-1\n\n\0", E::ContentLength("-1".into())),
        ("no length", b"SEND\ncontent-length:x\n\n\0", E::ContentLength("x".into())),
        ("wrong length", b"SEND\ncontent-length:1\n\nab\0", E::MissingNul),
        ("long head, still open", &long, E::HeadTooLarge(64)),
        ("many headers", b"SEND\na:\nb:\nc:\nd:\n\n\0", E::TooManyHeaders(3)),
        ("announced body too long", b"SEND\ncontent-length:17\n\n", E::BodyTooLarge(16)),
        ("endless body", b"SEND\n\n01234567890123456", E::BodyTooLarge(16)),
        ("long body", b"SEND\n\n01234567890123456\0", E::BodyTooLarge(16)),
    ];
    for (case, bytes, error) in cases {
        assert_eq!(decode_all(bytes, SMALL).as_ref(), Err(error), "{case}");
    }
}

#[test]
fn limits_are_inclusive() {
    assert_eq!(decode_all(b"SEND\n\n0123456789012345\0", SMALL).unwrap()[0].body.len(), 16);
    assert_eq!(decode_all(b"SEND\na:\nb:\nc:\n\n\0", SMALL).unwrap()[0].headers.len(), 3);
}

fn frames() -> impl Strategy<Value = Frame> {
    let text = proptest::collection::vec(proptest::char::any().prop_filter("NUL", |c| *c != '\0'), 0..12)
        .prop_map(String::from_iter);
    let name = text.clone().prop_filter("a name", |name| !name.is_empty() && name != "content-length");
    (
        proptest::sample::select(&Command::ALL[..]),
        proptest::collection::vec((name, text), 0..6),
        proptest::collection::vec(any::<u8>(), 0..40),
    )
        .prop_filter("CONNECT and CONNECTED know no escapes", |(command, headers, _)| {
            command.escapes()
                || headers
                    .iter()
                    .all(|(name, value)| !name.contains([':', '\r', '\n']) && !value.contains(['\r', '\n']))
        })
        .prop_map(|(command, headers, body)| Frame {
            command,
            headers: headers.into_iter().collect(),
            body: Bytes::from(body),
        })
}

proptest! {
    #[test]
    fn a_frame_survives_the_wire(frames in proptest::collection::vec(frames(), 1..4)) {
        let mut wire = BytesMut::new();
        for frame in &frames {
            frame.encode(&mut wire);
        }
        prop_assert_eq!(decode_all(&wire, Limits::default()), Ok(frames));
    }

    #[test]
    fn where_reads_split_the_bytes_changes_nothing(
        frames in proptest::collection::vec(frames(), 1..4),
        damage in proptest::option::of((any::<proptest::sample::Index>(), any::<u8>())),
        size in 1_usize..32,
    ) {
        let mut wire = BytesMut::new();
        for frame in &frames {
            frame.encode(&mut wire);
        }
        if let Some((at, byte)) = damage {
            let at = at.index(wire.len());
            wire[at] = byte;
        }
        let limits = Limits { head_bytes: 200, headers: 5, body_bytes: 30 };
        prop_assert_eq!(decode_pieces(wire.chunks(size), limits), decode_all(&wire, limits));
    }

    #[test]
    fn arbitrary_bytes_never_panic_nor_pile_up(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..64), 0..8),
    ) {
        let mut decoder = Decoder::new(SMALL);
        for piece in pieces {
            decoder.buffer().extend_from_slice(&piece);
            while let Ok(Some(frame)) = decoder.next_frame() {
                prop_assert!(frame.body.len() <= SMALL.body_bytes);
            }
        }
    }
}
