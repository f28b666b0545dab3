//! `call`: what is printed for a person and for a script, and what is said where it does not work.

use serde_json::{Value, json};

use super::{GATEWAY, House, wait_for};
use crate::stories::says;
use crate::support::Ran;

/// A house whose gateway runs and has its tools.
fn open() -> Option<(House, std::process::Child)> {
    let house = House::new(GATEWAY)?;
    let child = house.start();
    wait_for("the server is there", || {
        let ran = house.run(&["call", "small__echo"]);
        let other = house.run(&["call", "other__echo"]);
        (ran.code == 0 && other.code == 0).then_some(())
    });
    Some((house, child))
}

fn close(house: House, mut child: std::process::Child) {
    drop(house);
    child.wait().expect("it ends");
}

#[test]
fn prints_results_for_people_and_for_scripts() {
    let Some((house, child)) = open() else { return };
    let call = |args: &[&str]| house.run(&[&["call"], args].concat());
    let ran = call(&[
        "small__echo",
        "--arg",
        "text=3",
        "--arg",
        "count=3",
        "--arg",
        "on=true",
        "--arg",
        "tags=[1]",
    ]);
    assert_eq!(ran.exits(0).out, "{\"count\": 3, \"on\": true, \"tags\": [1], \"text\": \"3\"}\n");
    let ran = call(&["small__echo", "--args", "{\"text\": \"a\", \"x\": 1}", "--arg", "text=b"]);
    assert_eq!(ran.exits(0).out, "{\"text\": \"b\", \"x\": 1}\n");
    house.home.write("args.json", "{\"x\": 2}");
    assert_eq!(call(&["small__echo", "--args", "@args.json"]).exits(0).out, "{\"x\": 2}\n");
    assert_eq!(call(&["image", "--server", "small"]).exits(0).out, "[image: image/png, 3 KiB]\n");
    let structured = "{\n  \"rain\": [\n    1,\n    2\n  ]\n}\n";
    assert_eq!(call(&["small__forecast"]).exits(0).out, structured);
    let raw: Value = serde_json::from_str(&call(&["small__forecast", "--json"]).exits(0).out).expect("JSON");
    assert_eq!(raw["structuredContent"], json!({ "rain": [1, 2] }));
    close(house, child);
}

#[test]
fn says_what_is_wrong_and_what_to_do() {
    let Some((house, child)) = open() else { return };
    let call = |args: &[&str]| -> Ran { house.run(&[&["call"], args].concat()) };
    for (args, code, said) in [
        (&["small__fail"][..], 1, "`small__fail` failed: out of milk"),
        (&["small__fail", "--json"], 1, "\"isError\":"),
        (&["small__ehco"], 64, "did you mean `small__echo`?"),
        (&["ehco"], 64, "did you mean `echo`?"),
        (&["echo"], 64, "several servers have a tool `echo`"),
        (&["echo", "--client", "cursor"], 0, "{}"),
        (&["small__echo", "--arg", "count=many"], 64, "`count` is to be integer, not `many`"),
        (&["small__echo", "--arg", "count"], 64, "is no argument"),
        (&["small__echo", "--args", "[1]"], 64, "no object"),
        (&["small__echo", "--args", "{"], 64, "not JSON"),
        (&["small__echo", "--args", "@none.json"], 1, "cannot be read"),
        (&["small__echo", "--timeout", "soon"], 64, "no duration"),
        (&["small__hang", "--timeout", "300ms", "--arg", "mark=/dev/null"], 1, "no answer came in time"),
    ] {
        let ran = call(args);
        assert_eq!(ran.code, code, "{args:?}: {}{}", ran.out, ran.err);
        says(&ran, said);
    }
    close(house, child);
}

#[test]
fn a_policy_that_says_no_is_a_refusal() {
    let Some(house) = House::new(&format!(
        "{GATEWAY}policies:\n  - {{ name: no echo, scope: global, resourceType: tool, pattern: '*echo*', action: deny, priority: 1 }}\n"
    )) else {
        return;
    };
    let child = house.start();
    wait_for("the server is there", || (house.run(&["call", "small__forecast"]).code == 0).then_some(()));
    let ran = house.run(&["call", "small__echo"]);
    // A gateway that hides it says that there is no such tool.
    assert!(ran.code == 6 || ran.code == 64, "{}: {}", ran.code, ran.err);
    close(house, child);
}

#[test]
fn without_a_gateway_it_says_how_to_have_one() {
    let Some(house) = House::new(GATEWAY) else { return };
    let ran = house.run(&["call", "small__echo"]).exits(1);
    says(&ran, "the gateway does not run here");
    says(&ran, "`mcpkeel up` runs it");
    assert_eq!(house.running(), None);
}
