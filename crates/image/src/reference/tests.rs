//! References read as Docker reads them.

use proptest::prelude::*;

use super::Reference;

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn short_forms_are_filled_in_and_shown_again() {
    let digest = format!("busybox@sha256:{HEX}");
    let full_digest = format!("docker.io/library/busybox@sha256:{HEX}");
    for (text, full, familiar) in [
        ("busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("busybox:1", "docker.io/library/busybox:1", "busybox:1"),
        ("docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("index.docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("library/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("me/app", "docker.io/me/app:latest", "me/app:latest"),
        ("docker.io/library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"),
        ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
        ("localhost:5000/app:v1", "localhost:5000/app:v1", "localhost:5000/app:v1"),
        ("Host/app", "Host/app:latest", "Host/app:latest"),
        ("[::1]:5000/app", "[::1]:5000/app:latest", "[::1]:5000/app:latest"),
        ("quay.io/a/b-c/d__e/f.g", "quay.io/a/b-c/d__e/f.g:latest", "quay.io/a/b-c/d__e/f.g:latest"),
        ("a--b", "docker.io/library/a--b:latest", "a--b:latest"),
        (&digest, &full_digest, &digest),
    ] {
        let reference = Reference::parse(text).unwrap();
        assert_eq!(reference.to_string(), full, "{text}");
        assert_eq!(reference.familiar(), familiar, "{text}");
    }
}

#[test]
fn what_is_no_reference_is_refused() {
    let long_tag = format!("a:{}", "t".repeat(129));
    for text in [
        "",
        ":",
        "a:",
        "a::b",
        "/a",
        "a/",
        "a//b",
        "-a",
        "a-",
        "a___b",
        "a._b",
        "a b",
        "a:-x",
        "a@",
        "a@sha256:12",
        "http://a/b",
        "a@b@c",
        "a.b:x/c",
        "-h.io/a",
        "h-.io/a",
        "[::1/a",
        "[]/a",
        "ä",
        "a:ä",
        &long_tag,
        "h.io/",
    ] {
        let error = Reference::parse(text).unwrap_err().to_string();
        assert!(error.contains("invalid reference format"), "{text}: {error}");
    }
}

#[test]
fn errors_say_what_docker_says() {
    let error = |text: &str| Reference::parse(text).unwrap_err().to_string();
    assert_eq!(
        error("Busybox"),
        "invalid reference format: repository name (library/Busybox) must be lowercase"
    );
    assert_eq!(
        error(HEX),
        format!("invalid repository name ({HEX}), cannot specify 64-byte hexadecimal strings")
    );
    assert!(error(&"a".repeat(256)).contains("must not be more than 255 characters"));
    assert!(error(&format!("a@sha512:{HEX}{HEX}")).contains("unsupported digest algorithm"));
}

#[test]
fn filters_keep_what_is_missing() {
    assert_eq!(Reference::parse_exact("busybox").unwrap().tag(), None);
    assert_eq!(Reference::parse("a:1").unwrap().with_tag("2").unwrap().familiar(), "a:2");
}

proptest! {
    #[test]
    fn valid_references_round_trip(
        domain in "([a-z0-9]{1,8}(\\.[a-z0-9]{1,5}){1,2}(:[0-9]{1,5})?/)?",
        path in "[a-z0-9]{1,6}((_|__|-{1,3})[a-z0-9]{1,5}){0,2}(/[a-z0-9]{1,6}(\\.[a-z0-9])?){0,3}",
        tag in "(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,20})?",
    ) {
        let reference = Reference::parse(&format!("{domain}{path}{tag}")).unwrap();
        prop_assert_eq!(&Reference::parse(&reference.to_string()).unwrap(), &reference);
        prop_assert_eq!(&Reference::parse(&reference.familiar()).unwrap(), &reference);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[a-zA-Z0-9:/@._\\[\\]-]{0,40}|.{0,20}") {
        if let Ok(reference) = Reference::parse(&text) {
            prop_assert_eq!(Reference::parse(&reference.to_string()).unwrap(), reference);
        }
    }
}
