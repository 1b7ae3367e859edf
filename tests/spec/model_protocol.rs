//! `docs/protocol.md` is searched for orders of events that lose something: none with all rules, one without any of them.
//!
//! `DSSVAULT_MODEL=long` makes the journals one entry longer and walks longer (minutes, and gigabytes of memory).

use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Model, Path, UniformChooser};

use crate::model::rules::{Rule, Rules};
use crate::model::scenario::Scenario;
use crate::model::world::World;
use crate::model::{COMMITS, DELETES, KEPT, Protocol, Step, TOLD};

fn is_long() -> bool {
    std::env::var("DSSVAULT_MODEL").is_ok_and(|how| how == "long")
}

/// Where leaving out a rule shows soonest.
fn scenario_against(rule: Rule) -> Scenario {
    match rule {
        Rule::W1 | Rule::W2 | Rule::W3 | Rule::W4 | Rule::W5 | Rule::D3 | Rule::D4 | Rule::D5 | Rule::D6 => {
            Scenario::PLAIN
        }
        Rule::D7 | Rule::D11 | Rule::F1 => Scenario::PLAIN,
        Rule::D8 => Scenario::TWINS,
        Rule::W7 | Rule::D1 | Rule::D2 => Scenario::HEIRS,
        Rule::W6 | Rule::F2 => Scenario::FENCED,
        Rule::W8 | Rule::I2 | Rule::I3 | Rule::D10 | Rule::S1 | Rule::S2 => Scenario::CACHES,
        Rule::I4 => Scenario { entries_max: 5, ..Scenario::CACHES },
        Rule::I1 => Scenario::LATE,
        Rule::D9 => Scenario::LATE_TWIN,
    }
}

fn told(path: Path<World, Step>) -> (usize, String) {
    let steps: Vec<String> = path.into_actions().iter().map(|step| format!("{step:?}")).collect();
    (steps.len(), steps.join(" · "))
}

#[test]
fn with_all_rules_nothing_is_lost_in_any_order_of_events() {
    let mut total = 0;
    for mut scenario in Scenario::ALL {
        scenario.entries_max += u8::from(is_long());
        let began = Instant::now();
        let found = Protocol::new(Rules::default(), scenario).checker().threads(2).spawn_bfs().join();
        let states = found.unique_state_count();
        total += states;
        println!("{}: {states} states, {} steps deep, {:.1?}", scenario.name, found.max_depth(), began.elapsed());
        for wrong in [KEPT, TOLD] {
            let path = found.discovery(wrong).map(told);
            assert_eq!(path, None, "{}: not so: {wrong}", scenario.name);
        }
        assert!(found.discovery(DELETES).is_some(), "{}: nothing is ever deleted", scenario.name);
        assert!(scenario.ghost || found.discovery(COMMITS).is_some(), "{}: nobody ever commits", scenario.name);
    }
    println!("{total} states in all");
}

#[test]
fn without_any_one_of_the_rules_something_is_lost() {
    let mut missed = Vec::new();
    for rule in Rule::ALL {
        let scenario = scenario_against(rule);
        let found = Protocol::new(Rules::without(rule), scenario)
            .checker()
            .finish_when(HasDiscoveries::AnyFailures)
            .spawn_bfs()
            .join();
        let states = found.unique_state_count();
        match [KEPT, TOLD].into_iter().find_map(|wrong| Some((wrong, told(found.discovery(wrong)?)))) {
            Some((wrong, (steps, path))) => {
                println!(
                    "without {rule}, after {steps} steps ({states} states, {}), not so: {wrong}\n    {path}",
                    scenario.name
                );
            }
            None => missed.push(rule),
        }
    }
    assert_eq!(missed, [], "rules nobody would miss, or a model that is too small");
}

#[test]
fn walking_at_random_through_everything_at_once_loses_nothing() {
    let seconds = if is_long() { 600 } else { 10 };
    let found = Protocol::new(Rules::default(), Scenario::EVERYTHING)
        .checker()
        .timeout(Duration::from_secs(seconds))
        .spawn_simulation(1, UniformChooser)
        .join();
    println!("{}: {} states in {seconds} s", Scenario::EVERYTHING.name, found.state_count());
    for wrong in [KEPT, TOLD] {
        assert_eq!(found.discovery(wrong).map(told), None, "not so: {wrong}");
    }
}

#[test]
fn the_document_and_the_model_have_the_same_rules() {
    let document = include_str!("../../docs/protocol.md");
    let is_rule = |word: &str| word.starts_with(['W', 'I', 'D', 'F', 'S']) && word[1..].parse::<u8>().is_ok();
    let first_cell = |line: &'static str| line.strip_prefix("| ")?.split(" |").next();
    let rows = document.lines().take_while(|line| *line != "## How a prune goes").filter_map(first_cell);
    let written: Vec<&str> = rows.filter(|word| is_rule(word)).collect();
    let modelled: Vec<String> = Rule::ALL.iter().map(Rule::to_string).collect();
    assert_eq!(written, modelled);
}
