//! What runs beside what, in which order, and with how much memory.

use super::*;
use crate::plan::too_large;

fn asks(cpu: f64, memory_mib: u64) -> Limits {
    Limits { cpu: Some(cpu), memory: Some(Memory::Exactly(Size::from_mib(memory_mib))), ..Limits::default() }
}

#[test]
fn steps_run_side_by_side_while_the_machine_has_room() {
    let steps = |count: usize, limits: Limits| {
        let nodes: Vec<_> = (0..count).map(|_| (command("c"), vec![], limits.clone())).collect();
        run(&graph(&nodes, Limits::default()), 2, &always(100)).most_running
    };
    // Two processors and 4 GiB.
    assert_eq!(steps(9, Limits::default()), 2);
    assert_eq!(steps(9, asks(0.5, 1)), 4);
    assert_eq!(steps(9, asks(0.3, 1)), 6);
    assert_eq!(steps(9, asks(1.5, 1)), 1);
    assert_eq!(steps(9, asks(0.1, 1400)), 2);
    assert_eq!(steps(9, asks(0.1, 2049)), 1);
    // What declares no memory is not kept waiting for it, however little there is.
    let small = Options { capacity: Capacity::new(4, Size::from_mib(100)), ..options(1) };
    let nodes: Vec<_> = (0..9).map(|_| plain(&[])).collect();
    let history = simulate(&graph(&nodes, Limits::default()), small, &World { fate: &always(100), lag: 0 }, None);
    assert_eq!(history.most_running, 4);
}

#[test]
fn the_longest_way_is_gone_first() {
    // A chain of three stands behind four steps that lead nowhere.
    let nodes = [plain(&[]), plain(&[]), plain(&[]), plain(&[]), plain(&[]), plain(&[4]), plain(&[5])];
    let history = run(&graph(&nodes, Limits::default()), 2, &always(100));
    assert_eq!(history.started("main/n4"), Some(Time::default()));
    assert_eq!(history.ended, Time(ms(400)));
    // Rounds are known to follow one another, and so does what stands behind a group or an item.
    let body = || region("main/n1", 20, &[plain(&[])]);
    let group = NodeKind::Group(Box::new(body()));
    let list = Expr::Const(Value::List(vec![Value::None; 2]));
    let each = NodeKind::For { item: Var(99), list, body: Box::new(body()) };
    for long in [repeat(Expr::Const(Value::Int(3)), body()), group, each] {
        let mut nodes = vec![plain(&[]), (long, vec![], Limits::default())];
        if !matches!(nodes[1].0, NodeKind::Repeat { .. }) {
            nodes.push(plain(&[1]));
        }
        let history = run(&graph(&nodes, Limits::default()), 1, &always(100));
        assert!(history.started("main/n0") > Some(Time(ms(0))), "{:?}", history.attempts);
    }
}

#[test]
fn a_for_whose_items_wait_for_the_machine_begins_no_more_of_them() {
    let body = region("main/n0", 20, &[(command("c"), vec![], asks(1.0, 5000))]);
    let list = Expr::Const(Value::List(vec![Value::None; 1000]));
    let each = NodeKind::For { item: Var(99), list, body: Box::new(body) };
    let graph = graph(&[(each, vec![], Limits::default()), plain(&[])], Limits::default());
    let mut scheduler = Scheduler::new(&graph, Fields::new(), options(4));
    let begun = scheduler.step(Time::default(), Event::Begin);
    // 8 GiB hold one item; a second is ready to follow it, and the small step fits beside it.
    assert_eq!(begun.iter().filter(|action| matches!(action, Action::Start(_))).count(), 2);
    assert_eq!(scheduler.instances.len(), 3);
}

#[test]
fn what_asks_for_more_than_the_machine_has_fails_where_it_stands() {
    let asked = |limits: Limits| {
        let graph = graph(&[(command("c"), vec![], limits)], Limits::default());
        assert_eq!(too_large(&graph, &machine(2)).map(|(node, _)| &*node.name), Some("n0"));
        let history = run(&graph, 2, &always(100));
        assert!(history.launches.is_empty());
        history.failure().1
    };
    assert_eq!(asked(asks(1.0, 5000)), Kind::OutOfMemory);
    assert_eq!(asked(asks(2.5, 100)), Kind::TaskFailed);
    // What a run may go around is not held against it before.
    let large = region("main/n0/try", 20, &[(command("c"), vec![], asks(1.0, 5000))]);
    let tried = attempt(large, &[Kind::OutOfMemory], region("main/n0/catch", 30, &[plain(&[])]));
    let graph = graph(&[(tried, vec![], Limits::default())], Limits::default());
    assert!(too_large(&graph, &machine(2)).is_none());
    assert!(matches!(run(&graph, 2, &always(100)).verdict, Some(Verdict::Succeeded { .. })));
}

#[test]
fn limits_inside_items_hold_back_no_other_items() {
    let steps = region("main/n0/n0", 30, &[plain(&[]), plain(&[]), plain(&[])]);
    let one_by_one = Limits { max_parallel: Some(1), ..Limits::default() };
    let body = region("main/n0", 20, &[(NodeKind::Group(Box::new(steps)), vec![], one_by_one)]);
    let list = Expr::Const(Value::List(vec![Value::None; 100]));
    let each = NodeKind::For { item: Var(99), list, body: Box::new(body) };
    let history = run(&graph(&[(each, vec![], Limits::default())], Limits::default()), 4, &always(100));
    assert_eq!((history.attempts.len(), history.ended), (300, Time(ms(7500))));
}

#[test]
fn what_ran_out_of_memory_is_tried_again_with_more() {
    let retry = Retry { memory: Some(2.0), ..retry(9, &[Kind::OutOfMemory]).retry.unwrap() };
    let asks = |mib| Limits {
        memory: Some(Memory::Exactly(Size::from_mib(mib))),
        retry: Some(retry.clone()),
        ..Limits::default()
    };
    let memories = |mib, fails: &dyn Fn(&Attempt) -> Option<Kind>| -> Vec<u64> {
        let history = run(&graph(&[(command("c"), vec![], asks(mib))], Limits::default()), 4, &|attempt| Fate {
            takes: 10,
            fails: fails(attempt),
        });
        history.launches.iter().filter_map(|(_, launch)| launch.memory_limit).map(Size::mib).collect()
    };
    // The machine has 8 GiB. What was not enough with all of it is not tried again.
    assert_eq!(memories(1500, &|_| Some(Kind::OutOfMemory)), [1500, 3000, 6000, 8192]);
    assert_eq!(memories(1500, &|attempt| (attempt.number < 3).then_some(Kind::OutOfMemory)), [1500, 3000, 6000]);
    // Another failure is no reason for more.
    let lost_between = |attempt: &Attempt| match attempt.number {
        1 | 3 => Some(Kind::OutOfMemory),
        2 => Some(Kind::WorkerLost),
        _ => None,
    };
    assert_eq!(memories(1000, &lost_between), [1000, 2000, 2000, 4000]);
}

#[test]
fn a_notice_tells_of_the_memory_that_an_attempt_has_more() {
    let retry = Retry { memory: Some(1.5), ..retry(1, &[]).retry.unwrap() };
    let limits = Limits { retry: Some(retry), ..Limits::default() };
    let graph = graph(&[(command("c"), vec![], limits)], Limits::default());
    let told = |kind| {
        let fate = move |attempt: &Attempt| Fate { takes: 10, fails: (attempt.number == 1).then_some(kind) };
        let history = run(&graph, 4, &fate);
        let memory = |(_, notice): &(Time, Notice)| match notice {
            Notice::StepRetried { memory, .. } => Some(*memory),
            _ => None,
        };
        (history.notices.iter().find_map(memory).unwrap(), history.launches[1].1.memory_limit)
    };
    // A command that declares nothing is given 1 GiB.
    let more = Some(Size::from_mib(1536));
    assert_eq!(told(Kind::OutOfMemory), (more, more));
    assert_eq!(told(Kind::TaskFailed), (None, None));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn a_large_step_is_passed_by_a_few_at_most(
        sizes in prop::collection::vec((1_u32..=8, 1_u32..=8), 2..60),
        takes in prop::collection::vec(1_i64..500, 1..9),
    ) {
        // Two processors and 4 GiB; a step takes up to all of it. All may begin at once, and lead equally far.
        let limits = |(cpu, memory): &(u32, u32)| asks(f64::from(*cpu) / 4.0, u64::from(*memory) * 512);
        let nodes: Vec<_> = sizes.iter().map(|size| (command("c"), vec![], limits(size))).collect();
        let fate = |attempt: &Attempt| {
            let draw = Seed::new(3).child(&attempt.step).get() as usize;
            Fate { takes: takes[draw % takes.len()], fails: None }
        };
        let history = run(&graph(&nodes, Limits::default()), 2, &fate);
        let order: Vec<usize> =
            history.launches.iter().map(|(_, launch)| launch.attempt.step.0["main/n".len()..].parse().unwrap()).collect();
        prop_assert_eq!(order.len(), nodes.len());
        for (place, node) in order.iter().enumerate() {
            // It is the first in line once all before it have begun.
            let first = order[..place].iter().rposition(|other| other < node).map_or(0, |last| last + 1);
            prop_assert!(place - first <= queue::PATIENCE as usize, "{node} in {order:?}");
        }
    }

    #[test]
    fn one_at_a_time_the_longest_way_goes_first(picks in prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..3), 1..20)) {
        let after = |index: usize| -> Vec<usize> {
            let mut after: Vec<usize> = picks[index].iter().filter(|_| index > 0).map(|pick| pick.index(index)).collect();
            after.sort_unstable();
            after.dedup();
            after
        };
        let nodes: Vec<_> = (0..picks.len()).map(|index| plain(&after(index))).collect();
        let graph = graph(&nodes, Limits::default());
        let history = run(&graph, 1, &always(10));
        let order: Vec<usize> =
            history.launches.iter().map(|(_, launch)| launch.attempt.step.0["main/n".len()..].parse().unwrap()).collect();
        let length = |node: usize| graph.root.way(NodeIndex::new(node)).steps();
        for (place, node) in order.iter().enumerate() {
            let ready = (0..nodes.len()).filter(|other| {
                !order[..place].contains(other) && after(*other).iter().all(|before| order[..place].contains(before))
            });
            prop_assert_eq!(ready.map(length).max(), Some(length(*node)), "{:?}", &order);
        }
    }
}
