use smlt::store::{Key, OpenError, Terms, open};

#[test]
fn a_wrong_address_is_told_with_those_that_are_right() {
    for (address, fault) in [
        ("memory", "it has no `://`"),
        ("unix://store", "its path does not begin with `/`"),
        ("http://store", "there is no kind of store `http`"),
        ("redis://user:hunter2@", "a host is none"),
        ("redis://user:hunter2@a,,b", "a host is none"),
        ("redis://user:hunter2@a:port", "a host is none"),
        ("redis://hunter2@a", "it names a user without a password"),
        ("redis://user:hunter2@a/b", "its database is no number"),
        ("redis://user:hunter2@a?ca=/b", "`?ca=` is for `rediss://`"),
        ("rediss://user:hunter2@a?insecure", "behind the `?` can only stand `ca=` and the path of a certificate"),
    ] {
        let error = open(address, Terms::new(Key::new(&[&"run"]))).err().unwrap();
        assert_eq!(error, OpenError::Address { fault: fault.to_owned() });
        assert!(error.to_string().contains("unix:///PATH, redis://"), "{error}");
    }
}
