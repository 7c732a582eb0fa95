//! The samples that workers fetch: dealt out once, and again when they are lost.

use super::*;

/// The files of samples that were dealt out, and their lists.
fn dealt(project: &Project) -> Vec<PathBuf> {
    let mut found = files(&project.path(".smlt/runs"));
    found.retain(|path| path.components().any(|part| part.as_os_str() == "dealt"));
    found
}

/// How often samples were dealt out.
fn dealings(project: &Project) -> usize {
    events(project, "samples_dealt").len()
}

#[test]
fn samples_are_dealt_out_once_and_gone_with_the_run() {
    // The weights' card tells the metrics, so both have them.
    let train = |workers: &str| {
        let project = team(&format!("{workers}\n    metrics: [accuracy]"));
        let result = project.result(&["team.smlt", "--epochs", "8"]);
        (project, result)
    };
    let (_, wanted) = train("workers: 1");
    let (project, result) = train("workers: schedule([2, 4, 1, 4], at: [2, 4, 6])\n    replan: every(epochs: 1)");
    assert!(result == wanted);
    assert_eq!(dealings(&project), 1);
    assert!(events(&project, "round_done").len() > 7);
    assert_eq!(dealt(&project), [] as [PathBuf; 0]);
    leaves_nothing(&project);
}

#[test]
fn samples_that_are_damaged_are_dealt_out_again() {
    let wanted = alone(LONG);
    let project = team("workers: 4");
    let run = start(&project, &["run", "team.smlt", "--epochs", LONG]);
    wait_for_epoch(&project, 20);
    for path in dealt(&project) {
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(path, bytes).unwrap();
    }
    // Who takes its place has nothing yet.
    strike(workers(&run)[1], Signal::KILL);
    assert!(finished(&project, run) == wanted);
    assert_eq!(dealings(&project), 2);
    leaves_nothing(&project);
}

#[test]
fn data_that_changes_in_the_run_is_refused() {
    let project = team("workers: 4");
    let run = start(&project, &["run", "team.smlt", "--epochs", LONG]);
    wait_for_epoch(&project, 20);
    let data = project.path("data/digits.csv.gz");
    let bytes = fs::read(&data).unwrap();
    fs::write(&data, [bytes.clone(), bytes].concat()).unwrap();
    strike(workers(&run)[1], Signal::KILL);
    let output = run.wait_with_output().unwrap();
    assert!(!output.status.success());
    assert!(told(&output).contains("data/digits.csv.gz"), "{}", told(&output));
    assert!(told(&output).contains("changed"), "{}", told(&output));
}

#[test]
fn a_resumed_run_finds_its_samples() {
    let wanted = alone(LONG);
    let project = team("workers: 2");
    kill_in_training(&project, &[]);
    assert!(!dealt(&project).is_empty());
    let again = start(&project, &["run", "--resume"]);
    assert!(finished(&project, again) == wanted);
    assert_eq!(dealings(&project), 1);
    assert_eq!(dealt(&project), [] as [PathBuf; 0]);
}
