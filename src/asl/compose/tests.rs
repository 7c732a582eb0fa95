use super::*;
use crate::{
    expr::{Expr, Var},
    graph::{Edge, Node, NodeKind},
    limits::Limits,
    source::{FileId, Span},
    value::Value,
};
use proptest::{collection::vec, prelude::*};

/// A region of steps, of which each edge's first is read by its second.
fn region(count: usize, edges: &[(usize, usize)]) -> Region {
    let mut region = Region::default();
    for index in 0..count {
        region.dag.add_node(Node {
            name: format!("n{index}").into(),
            path: format!("main/n{index}"),
            var: Var(Var::FIRST.0 + index as u32),
            kind: NodeKind::Inspect(Expr::Const(Value::None)),
            limits: Limits::default(),
            line: 1,
            span: Span { file: FileId(0), start: 0, end: 0 },
        });
    }
    for (from, to) in edges {
        region.dag.update_edge(NodeIndex::new(*from), NodeIndex::new(*to), Edge::Value);
    }
    region.measure();
    region
}

fn composed(region: &Region) -> (Shape, Vec<Barrier>) {
    compose(region, &|_| false)
}

fn nodes(shape: &Shape) -> Vec<usize> {
    match shape {
        Shape::Node(node) => vec![node.index()],
        Shape::Series(parts) | Shape::Parallel(parts) => parts.iter().flat_map(nodes).collect(),
    }
}

/// The pairs of which the first is over when the second begins.
fn pairs(shape: &Shape) -> Vec<(usize, usize)> {
    match shape {
        Shape::Node(_) => Vec::new(),
        Shape::Parallel(parts) => parts.iter().flat_map(pairs).collect(),
        Shape::Series(parts) => {
            let mut found: Vec<_> = parts.iter().flat_map(pairs).collect();
            for (index, part) in parts.iter().enumerate() {
                for later in &parts[index + 1..] {
                    let later = nodes(later);
                    found.extend(nodes(part).into_iter().flat_map(|a| later.iter().map(move |b| (a, *b))));
                }
            }
            found
        }
    }
}

fn length(shape: &Shape) -> u64 {
    match shape {
        Shape::Node(_) => 1,
        Shape::Series(parts) => parts.iter().map(length).sum(),
        Shape::Parallel(parts) => parts.iter().map(length).max().unwrap_or(0),
    }
}

/// Any order of some nodes.
fn order() -> impl Strategy<Value = (usize, Vec<(usize, usize)>)> {
    (1..14_usize).prop_flat_map(|count| {
        let edge = (0..count, 0..count)
            .prop_filter_map("a node does not read itself", |(a, b)| (a != b).then_some((a.min(b), a.max(b))));
        (Just(count), vec(edge, 0..if count > 1 { 24 } else { 1 }))
    })
}

/// How nodes may be made of series and parallels.
#[derive(Clone, Debug)]
enum Tree {
    One,
    Series(Vec<Tree>),
    Parallel(Vec<Tree>),
}

fn tree() -> impl Strategy<Value = Tree> {
    Just(Tree::One).prop_recursive(4, 24, 4, |inner| {
        prop_oneof![vec(inner.clone(), 2..4).prop_map(Tree::Series), vec(inner, 2..4).prop_map(Tree::Parallel)]
    })
}

/// The nodes of a tree from number `next` on, with all pairs of which one is before the other.
fn grow(tree: &Tree, next: &mut usize, edges: &mut Vec<(usize, usize)>) -> Vec<usize> {
    match tree {
        Tree::One => {
            *next += 1;
            vec![*next - 1]
        }
        Tree::Parallel(parts) => parts.iter().flat_map(|part| grow(part, next, edges)).collect(),
        Tree::Series(parts) => {
            let mut all: Vec<usize> = Vec::new();
            for part in parts {
                let own = grow(part, next, edges);
                edges.extend(all.iter().flat_map(|before| own.iter().map(|after| (*before, *after))));
                all.extend(own);
            }
            all
        }
    }
}

proptest! {
    #[test]
    fn what_is_read_is_over_and_no_way_is_longer_than_its_barriers_say((count, edges) in order()) {
        let region = region(count, &edges);
        let (shape, barriers) = composed(&region);
        let mut all = nodes(&shape);
        all.sort_unstable();
        prop_assert_eq!(all, (0..count).collect::<Vec<_>>());
        let pairs = pairs(&shape);
        for edge in &edges {
            prop_assert!(pairs.contains(edge), "{:?} in {:?}", edge, shape);
        }
        let stretch: u64 = barriers.iter().map(|barrier| barrier.stretch).sum();
        prop_assert!(length(&shape) <= region.length() + stretch, "{:?}, {:?}", shape, barriers);
    }

    #[test]
    fn what_is_made_of_series_and_parallels_waits_for_what_it_reads_alone(tree in tree()) {
        let (mut count, mut edges) = (0, Vec::new());
        grow(&tree, &mut count, &mut edges);
        let (shape, barriers) = composed(&region(count, &edges));
        prop_assert_eq!(barriers, []);
        let mut found = pairs(&shape);
        found.sort_unstable();
        edges.sort_unstable();
        prop_assert_eq!(found, edges);
    }
}

#[test]
fn a_barrier_is_put_where_the_longest_way_grows_least() {
    // 0 → 1 → 2 → 3 beside 4 → 5, where 5 reads 0 too: to wait for 4 with 0 costs nothing, to wait for 1 with 4 neither.
    let region = region(6, &[(0, 1), (1, 2), (2, 3), (4, 5), (0, 5)]);
    let (shape, barriers) = composed(&region);
    assert_eq!((length(&shape), region.length()), (4, 4));
    assert_eq!(barriers.iter().map(|barrier| barrier.stretch).collect::<Vec<_>>(), [0]);
}

#[test]
fn small_nodes_get_no_branch_of_their_own() {
    let region = region(3, &[]);
    let (shape, _) = compose(&region, &|node| node.index() < 2);
    let node = |index| Shape::Node(NodeIndex::new(index));
    assert_eq!(shape, Shape::Series(vec![node(0), node(1), node(2)]));
}
