use super::*;

const FIVE: Overhead = Overhead::DEFAULT;

fn id(number: usize) -> PackId {
    PackId::from_bytes(*blake3::hash(&number.to_be_bytes()).as_bytes())
}

fn packs(numbers: impl IntoIterator<Item = usize>) -> BTreeMap<PackId, u64> {
    numbers.into_iter().map(|number| (id(number), 1000 + number as u64)).collect()
}

fn group(numbers: impl IntoIterator<Item = usize>) -> Shape {
    partition(packs(numbers), FIVE).remove(0)
}

fn planned(stored: &BTreeMap<PackId, u64>, groups: &[(&Shape, bool)], gone: &[usize], scope: Scope) -> Plan {
    let gone: Vec<PackId> = gone.iter().map(|number| id(*number)).collect();
    let known: Vec<_> = groups.iter().map(|(shape, complete)| Known { shape, complete: *complete }).collect();
    plan(stored, &known, &|pack| gone.contains(pack), FIVE, scope)
}

fn members(plan: &Plan) -> BTreeMap<PackId, u64> {
    plan.new.iter().flat_map(Shape::packs).map(|member| (member.pack, member.bytes)).collect()
}

#[test]
fn packs_of_about_one_size_come_together_in_groups_of_about_one_number() {
    let plan = planned(&packs(0..95), &[], &[], Scope::Everything);
    assert_eq!(plan.new.iter().map(|shape| shape.packs().count()).collect::<Vec<_>>(), [32, 32, 31]);
    assert_eq!(plan.new.iter().map(|shape| shape.recovery).collect::<Vec<_>>(), [2, 2, 2]);
    let sizes: Vec<u64> = plan.new.iter().flat_map(Shape::packs).map(|member| member.bytes).collect();
    assert!(sizes.is_sorted_by(|a, b| a > b), "the largest first, so that little is filled up");
    assert_eq!(members(&plan), packs(0..95));
}

#[test]
fn what_is_protected_is_left_alone() {
    let stored = packs(0..30);
    let all = group(0..30);
    assert_eq!(planned(&stored, &[(&all, true)], &[], Scope::Everything), Plan::default());
    assert_eq!(planned(&BTreeMap::new(), &[], &[], Scope::Everything), Plan::default());
}

#[test]
fn new_packs_join_small_groups_but_not_large_ones() {
    let stored = packs(0..36);
    let (large, small) = (group(0..30), group(30..34));
    let plan = planned(&stored, &[(&large, true), (&small, true)], &[], Scope::Everything);
    assert_eq!((members(&plan), plan.replaced), (packs(30..36), vec![1]));
    let plan = planned(&packs(0..35), &[(&large, true), (&small, true)], &[], Scope::Everything);
    assert_eq!((members(&plan), plan.replaced), (packs(34..35), vec![]), "one pack is not worth reading four again");
}

#[test]
fn a_group_that_lost_objects_or_packs_on_purpose_is_made_anew() {
    let stored = packs(0..30);
    let all = group(0..30);
    let plan = planned(&stored, &[(&all, false)], &[], Scope::Everything);
    assert_eq!((members(&plan), plan.replaced), (packs(0..30), vec![0]));
    let plan = planned(&packs(1..30), &[(&all, true)], &[0], Scope::Stale);
    assert_eq!((members(&plan), plan.replaced), (packs(1..30), vec![0]));
    let plan = planned(&BTreeMap::new(), &[(&group(0..1), true)], &[0], Scope::Stale);
    assert_eq!((members(&plan), plan.replaced), (BTreeMap::new(), vec![0]), "no pack stays");
}

#[test]
fn a_group_with_a_pack_that_is_gone_for_no_reason_is_never_given_up() {
    let all = group(0..10);
    for complete in [true, false] {
        let plan = planned(&packs(1..12), &[(&all, complete)], &[2], Scope::Everything);
        assert_eq!(plan.replaced, Vec::<usize>::new(), "it may be all there is of the pack");
        for scope in [Scope::Everything, Scope::Stale] {
            let plan = planned(&packs(1..24), &[(&all, complete)], &[], scope);
            assert_eq!(plan.replaced, Vec::<usize>::new(), "however many packs come with it");
            assert!(plan.new.iter().flat_map(Shape::packs).all(|member| member.pack != id(0)));
        }
    }
}

#[test]
fn only_what_lost_something_is_looked_at_when_that_is_asked() {
    let (stale, other) = (group(0..4), group(4..8));
    let plan = planned(&packs(1..12), &[(&stale, true), (&other, true)], &[0], Scope::Stale);
    assert_eq!((members(&plan), plan.replaced), (packs(1..8), vec![0, 1]), "packs 8 to 11 wait for `parity add`");
}

#[test]
fn a_group_is_superfluous_when_every_pack_that_counts_is_elsewhere() {
    let shape = group(0..4);
    let covered: HashSet<PackId> = (0..3).map(id).collect();
    let judge = |gone: usize| superfluous([(7, &shape)].into_iter(), &covered, &|pack| *pack == id(gone));
    assert_eq!((judge(3), judge(9)), (vec![7], vec![]));
}

#[test]
fn of_groups_with_the_same_packs_the_smaller_goes() {
    let stored = packs(0..30);
    let (all, some, other) = (group(0..30), group(3..9), group(29..31));
    let known = [(&some, true), (&all, true), (&other, true)];
    let plan = planned(&packs(0..31), &known, &[], Scope::Everything);
    assert_eq!((members(&plan), plan.replaced), (BTreeMap::new(), vec![0]));
    let plan = planned(&stored, &[(&some, true), (&all, false)], &[], Scope::Everything);
    assert_eq!((members(&plan), plan.replaced), (stored, vec![0, 1]), "one that lost objects protects nobody");
}
