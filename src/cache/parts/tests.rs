use super::*;
use proptest::prelude::*;

fn subject() -> impl Strategy<Value = Subject> {
    let name = "[a-z.]{0,4}";
    prop_oneof![
        Just(Subject::Kind),
        Just(Subject::Command),
        Just(Subject::Output),
        name.prop_map(Subject::Setting),
        name.prop_map(Subject::Env),
        name.prop_map(Subject::Secret),
        name.prop_map(Subject::File),
    ]
}

fn parts(list: &[(Subject, String)]) -> Parts {
    let mut parts = Parts::default();
    list.iter().for_each(|(subject, text)| parts.add(subject.clone(), text.as_bytes(), Some(text.clone())));
    parts
}

fn list() -> impl Strategy<Value = Vec<(Subject, String)>> {
    prop::collection::btree_map(subject(), "[ab]{0,3}", 0..6).prop_map(|map| map.into_iter().collect())
}

proptest! {
    #[test]
    fn the_order_in_which_parts_are_added_does_not_matter(list in list().prop_shuffle()) {
        let mut sorted = list.clone();
        sorted.sort();
        prop_assert_eq!(parts(&list).key(), parts(&sorted).key());
    }

    #[test]
    fn keys_are_equal_only_where_all_parts_are(one in list(), other in list()) {
        prop_assert_eq!(parts(&one).key() == parts(&other).key(), one == other);
    }

    #[test]
    fn every_change_of_a_part_changes_the_key_and_is_told(mut list in list(), subject in subject(), text in "[cd]{1,3}") {
        let before = parts(&list);
        match list.iter_mut().find(|(other, _)| *other == subject) {
            Some((_, old)) => *old = text,
            None => list.push((subject.clone(), text)),
        }
        let now = parts(&list);
        prop_assert_ne!(before.key(), now.key());
        let changes = now.changes(&before);
        prop_assert_eq!(changes.len(), 1);
        prop_assert_eq!(&changes[0].subject, &subject);
    }

    #[test]
    fn parts_are_read_as_they_were_written(list in list()) {
        let parts = parts(&list);
        let text = serde_json::to_string(&parts).unwrap();
        prop_assert_eq!(serde_json::from_str::<Parts>(&text).unwrap(), parts);
    }
}

#[test]
fn of_a_whole_only_the_part_that_changed_is_told() {
    let optimizer = |lr: &str| {
        parts(&[
            (Subject::Setting("optimizer".into()), format!("adam(lr: {lr})")),
            (Subject::Setting("optimizer.lr".into()), lr.into()),
            (Subject::Setting("optimizers".into()), "2".into()),
        ])
    };
    let changes = optimizer("0.2").changes(&optimizer("0.1"));
    let [change] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!(change.subject, Subject::Setting("optimizer.lr".into()));
    let shown = |content: &Option<Content>| content.as_ref().unwrap().shown.clone().unwrap();
    assert_eq!((shown(&change.before), shown(&change.now)), ("0.1".into(), "0.2".into()));
}

#[test]
fn what_came_and_what_went_is_told() {
    let [a, b] = ["a", "b"].map(|name| parts(&[(Subject::File(name.into()), String::new())]));
    let changes = b.changes(&a);
    assert_eq!(changes.len(), 2);
    assert!(changes.iter().any(|change| change.now.is_none() && change.subject == Subject::File("a".into())));
    assert!(changes.iter().any(|change| change.before.is_none() && change.subject == Subject::File("b".into())));
}
