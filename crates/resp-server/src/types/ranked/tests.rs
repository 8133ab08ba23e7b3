//! Ranked sequences against a plain list: random operations, an audit after each, and how full the nodes are.

use super::*;

/// An item that says what it weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Weighed {
    name: u64,
    weight: u64,
}

impl Item for Weighed {
    type Mark = u64;

    fn mark(&self) -> u64 {
        self.name
    }

    fn weight(&self) -> u64 {
        self.weight
    }
}

fn one(name: u64) -> Weighed {
    Weighed { name, weight: 1 }
}

/// xorshift64*
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % bound
    }
}

/// How full the leaves are, in per cent.
fn fill(tree: &Ranked<Weighed>) -> u64 {
    tree.items() * 100 / (tree.nodes.leaves * LEAF_ITEMS_MAX as u64)
}

fn begin_of(model: &[Weighed], index: usize) -> u64 {
    model[..index].iter().map(|item| item.weight).sum()
}

fn assert_same(tree: &Ranked<Weighed>, model: &[Weighed], random: &mut Random) {
    tree.audit();
    assert_eq!(tree.items(), model.len() as u64);
    assert_eq!(tree.weight(), begin_of(model, model.len()));
    assert_eq!((tree.first(), tree.last()), (model.first(), model.last()));
    assert_eq!(tree.get(tree.weight()), None);
    if model.is_empty() {
        return;
    }
    let index = random.below(model.len() as u64) as usize;
    let begin = begin_of(model, index);
    let offset = random.below(model[index].weight);
    assert_eq!(tree.get(begin + offset), Some((&model[index], offset)));
    assert!(tree.forward(begin + offset).eq(&model[index..]));
    assert!(tree.backward(begin).eq(model[..index].iter().rev()));
    assert!(tree.backward(begin + offset + 1).eq(model[..=index].iter().rev()));
}

/// Random operations in phases: some make it grow, some make it shrink.
#[test]
fn it_does_what_a_list_does() {
    for seed in 1..=12_u64 {
        println!("seed {seed}");
        let mut random = Random(seed * 0x9E37_79B9);
        let (mut tree, mut model) = (Ranked::new(), Vec::new());
        let heaviest = [1, 1, 7][seed as usize % 3];
        for step in 0..12_000_u64 {
            let grows = step / 3000 % 2 == 0;
            let item = Weighed { name: step, weight: 1 + random.below(heaviest) };
            match random.below(10) {
                0..=4 if grows => {
                    let index = random.below(model.len() as u64 + 1) as usize;
                    tree.insert(begin_of(&model, index), item);
                    model.insert(index, item);
                }
                5 if grows => {
                    tree.push_back(item);
                    model.push(item);
                }
                6 if grows => {
                    tree.push_front(item);
                    model.insert(0, item);
                }
                7 if !model.is_empty() => {
                    let index = random.below(model.len() as u64) as usize;
                    let offset = random.below(model[index].weight);
                    let was = tree.update(begin_of(&model, index) + offset, |item_there, at| {
                        assert_eq!(at, offset);
                        std::mem::replace(item_there, item)
                    });
                    assert_eq!(was, std::mem::replace(&mut model[index], item));
                }
                0..=4 if !model.is_empty() => {
                    let index = random.below(model.len() as u64) as usize;
                    let offset = random.below(model[index].weight);
                    assert_eq!(tree.remove(begin_of(&model, index) + offset), model.remove(index));
                }
                5 => assert_eq!(tree.pop_back(), model.pop()),
                6 => assert_eq!(tree.pop_front(), (!model.is_empty()).then(|| model.remove(0))),
                _ => {}
            }
            if step % 37 == 0 {
                assert_same(&tree, &model, &mut random);
            }
        }
        while !model.is_empty() {
            let index = random.below(model.len() as u64) as usize;
            assert_eq!(tree.remove(begin_of(&model, index)), model.remove(index));
            if model.len().is_multiple_of(17) {
                assert_same(&tree, &model, &mut random);
            }
        }
        assert_same(&tree, &model, &mut random);
    }
}

#[test]
fn a_place_is_found_by_order() {
    let mut random = Random(3);
    let (mut tree, mut model) = (Ranked::new(), Vec::new());
    for _ in 0..20_000 {
        let name = random.below(1 << 30);
        let rank = tree.partition_point(|mark| mark < name);
        assert_eq!(rank, model.partition_point(|there| *there < name) as u64);
        tree.insert(rank, one(name));
        model.insert(rank as usize, name);
    }
    tree.audit();
    assert!(tree.forward(0).map(|item| item.name).eq(model));
    assert_eq!(tree.partition_point(|_| true), 20_000);
    assert_eq!(tree.partition_point(|_| false), 0);
}

#[test]
fn a_search_asks_few_times() {
    let mut tree = Ranked::new();
    (0..1 << 17).for_each(|name| tree.push_back(one(name)));
    let mut asked = 0;
    tree.partition_point(|mark| {
        asked += 1;
        mark < 77_777
    });
    assert!(asked <= 21, "{asked}");
}

#[test]
fn what_is_pushed_at_an_end_leaves_full_leaves() {
    for push in [Ranked::push_back, Ranked::push_front] {
        let mut tree = Ranked::new();
        let full = (LEAF_ITEMS_MAX * CHILDREN_MAX * 3) as u64;
        (0..full).for_each(|name| push(&mut tree, one(name)));
        tree.audit();
        assert_eq!(tree.nodes.leaves, full / LEAF_ITEMS_MAX as u64);
        assert!(tree.nodes.inners <= 5, "{:?}", tree.nodes);
    }
}

#[test]
fn leaves_of_random_order_are_four_fifths_full() {
    let mut random = Random(7);
    let mut tree = Ranked::new();
    for count in 1..100_000_u64 {
        tree.insert(random.below(count), one(count));
        if count > 10_000 && count.is_multiple_of(5000) {
            assert!(fill(&tree) >= 78, "{} per cent at {count}", fill(&tree));
        }
    }
    tree.audit();
    // And after a long time of coming and going:
    for count in 0..300_000 {
        tree.remove(random.below(tree.weight()));
        tree.insert(random.below(tree.weight() + 1), one(count));
    }
    tree.audit();
    assert!(fill(&tree) >= 70, "{} per cent", fill(&tree));
}

#[test]
fn memory_is_that_of_the_nodes() {
    let mut tree = Ranked::new();
    (0..LEAF_ITEMS_MAX as u64).for_each(|name| tree.push_back(one(name)));
    assert_eq!(tree.memory_bytes(), 1024);
    (0..1_000_000).for_each(|name| tree.push_back(one(name)));
    let each = tree.memory_bytes() / tree.items();
    assert!((16..=17).contains(&each), "{each} bytes an item");
}

#[test]
fn it_is_freed_by_steps() {
    let mut tree = Ranked::new();
    (0..10_000).for_each(|name| tree.insert(name / 2, one(name)));
    let (mut freed, mut steps) = (0, 1);
    while tree.free_some(4, |_| freed += 1) {
        tree.audit();
        steps += 1;
    }
    assert_eq!((freed, tree.weight(), tree.items()), (10_000, 0, 0));
    assert!(steps >= 10_000 / LEAF_ITEMS_MAX / 4, "{steps}");
    tree.push_back(one(1));
    tree.audit();
    assert_eq!(tree.nodes, NodeCount { leaves: 1, inners: 0 });
}

#[test]
#[should_panic(expected = "into the middle of an item")]
fn an_item_has_no_inside() {
    let mut tree = Ranked::new();
    tree.push_back(Weighed { name: 1, weight: 3 });
    tree.insert(2, one(2));
}
