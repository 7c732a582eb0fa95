//! The same work for other programs: many steps at once, two at a time, and a chain of steps.

use std::fmt::Write;

/// How the steps hang together.
#[derive(Clone, Copy)]
pub enum Shape {
    /// None waits for another.
    Fan(usize),
    /// Each waits for the one before.
    Chain(usize),
}

/// Files by their names.
pub type Files = Vec<(&'static str, String)>;

/// Another program.
pub struct Other {
    /// Its name, as `benches/peers.sh` has it.
    pub name: &'static str,
    /// The version that `benches/peers.sh` installs.
    pub version: &'static str,
    /// What to start.
    pub program: &'static str,
    /// What a step is in it.
    pub what: &'static str,
    /// How often it is measured: slow ones less.
    pub runs: usize,
    /// The steps that are done at once: fewer where a thousand would take the better part of an hour.
    pub wide: usize,
    /// Its settings.
    pub env: &'static [(&'static str, &'static str)],
    /// The names and texts of files for it, and the arguments.
    pub files: fn(Shape) -> (Files, Vec<String>),
}

/// The other programs.
pub const OTHERS: [Other; 5] = [
    Other {
        name: "sprocket",
        version: "0.33.0",
        program: "sprocket",
        what: "the command `true`",
        runs: 3,
        wide: 1_000,
        env: &[],
        files: sprocket,
    },
    Other {
        name: "snakemake",
        version: "9.27.1",
        program: "snakemake",
        what: "a shell with `touch`",
        runs: 1,
        wide: 1_000,
        env: &[],
        files: snakemake,
    },
    Other {
        name: "metaflow",
        version: "2.19.39",
        program: "python",
        what: "a Python process that does nothing",
        runs: 1,
        wide: 100,
        env: &[("METAFLOW_USER", "bench"), ("USERNAME", "bench"), ("METAFLOW_RUN_MAX_WORKERS", "2")],
        files: metaflow,
    },
    Other {
        name: "prefect",
        version: "3.8.8",
        program: "python",
        what: "a function in the same process",
        runs: 1,
        wide: 1_000,
        env: &[
            ("PREFECT_SERVER_ANALYTICS_ENABLED", "false"),
            ("DO_NOT_TRACK", "1"),
            ("PREFECT_LOGGING_LEVEL", "ERROR"),
            ("PREFECT_SERVER_ALLOW_EPHEMERAL_MODE", "true"),
            ("PREFECT_LOGGING_TO_API_ENABLED", "false"),
        ],
        files: prefect,
    },
    Other {
        name: "dask",
        version: "2026.8.0",
        program: "python",
        what: "a function in one of two worker processes",
        runs: 3,
        wide: 1_000,
        env: &[],
        files: dask,
    },
];

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn sprocket(shape: Shape) -> (Files, Vec<String>) {
    let mut calls = String::new();
    match shape {
        Shape::Fan(steps) => calls += &format!("  scatter (i in range({steps})) {{ call noop {{ input: i = i }} }}\n"),
        Shape::Chain(steps) => {
            calls += "  call noop as c0 { input: i = 0 }\n";
            for step in 1..steps {
                // Writing to a string can't fail.
                let _ = writeln!(calls, "  call noop as c{step} {{ input: i = c{}.o }}", step - 1);
            }
        }
    }
    let text = format!(
        "version 1.2\nworkflow main {{\n{calls}}}\ntask noop {{\n  input {{ Int i }}\n  command <<< true >>>\n  \
         output {{ Int o = i }}\n  requirements {{ cpu: 1 memory: \"64 MB\" }}\n}}\n"
    );
    // Without this it asks for containers.
    let settings =
        "[run.backends.default]\ntype = \"local\"\ncpu = 2\n[run.task]\ncpu_limit_behavior = \"try_with_max\"\n";
    let files = vec![("steps.wdl", text), ("sprocket.toml", settings.to_owned())];
    (files, words(&["-s", "-c", "sprocket.toml", "run", "steps.wdl", "-t", "main", "-o", "out"]))
}

fn snakemake(shape: Shape) -> (Files, Vec<String>) {
    let text = match shape {
        Shape::Fan(steps) => format!(
            "rule all:\n    input: expand(\"out/{{i}}.txt\", i=range({steps}))\n\
             rule noop:\n    output: \"out/{{i}}.txt\"\n    shell: \"touch {{output}}\"\n"
        ),
        Shape::Chain(steps) => format!(
            "wildcard_constraints:\n    i=\"[1-9][0-9]*\"\nrule all:\n    input: \"out/{}.txt\"\n\
             rule first:\n    output: \"out/0.txt\"\n    shell: \"touch {{output}}\"\n\
             rule step:\n    input: lambda wc: f\"out/{{int(wc.i)-1}}.txt\"\n    output: \"out/{{i}}.txt\"\n    \
             shell: \"touch {{output}}\"\n",
            steps - 1
        ),
    };
    (vec![("Snakefile", text)], words(&["-c2", "--quiet", "all"]))
}

fn metaflow(shape: Shape) -> (Files, Vec<String>) {
    let mut text = String::from("from metaflow import FlowSpec, step\n\nclass Steps(FlowSpec):\n");
    match shape {
        Shape::Fan(steps) => {
            text += &format!(
                "    @step\n    def start(self):\n        self.xs = list(range({steps}))\n        \
                 self.next(self.noop, foreach=\"xs\")\n    @step\n    def noop(self): self.next(self.join)\n    \
                 @step\n    def join(self, inputs): self.next(self.end)\n    @step\n    def end(self): pass\n"
            );
        }
        Shape::Chain(steps) => {
            let name = |step: usize| match step {
                0 => "start".to_owned(),
                step if step == steps - 1 => "end".to_owned(),
                step => format!("s{step}"),
            };
            for step in 0..steps - 1 {
                text += &format!("    @step\n    def {}(self): self.next(self.{})\n", name(step), name(step + 1));
            }
            text += "    @step\n    def end(self): pass\n";
        }
    }
    text += "\nif __name__ == \"__main__\": Steps()\n";
    let args = ["steps.py", "--quiet", "--no-pylint", "run", "--max-workers", "2", "--max-num-splits", "100000"];
    (vec![("steps.py", text)], words(&args))
}

fn prefect(shape: Shape) -> (Files, Vec<String>) {
    let body = match shape {
        Shape::Fan(steps) => format!("    [f.result() for f in [noop.submit(i) for i in range({steps})]]\n"),
        Shape::Chain(steps) => {
            format!("    x = 0\n    for _ in range({steps}): x = noop.submit(x)\n    x.result()\n")
        }
    };
    let text = format!(
        "from prefect import flow, task\nfrom prefect.task_runners import ThreadPoolTaskRunner\n\n@task\n\
         def noop(i): return i\n\n@flow(task_runner=ThreadPoolTaskRunner(max_workers=2))\ndef steps():\n{body}\nsteps()\n"
    );
    (vec![("steps.py", text)], words(&["steps.py"]))
}

fn dask(shape: Shape) -> (Files, Vec<String>) {
    let graph = match shape {
        Shape::Fan(steps) => format!("    graph = delayed(len)([noop(i) for i in range({steps})])\n"),
        Shape::Chain(steps) => format!("    graph = 0\n    for _ in range({steps}): graph = noop(graph)\n"),
    };
    let text = format!(
        "from dask import delayed\nfrom dask.distributed import Client, LocalCluster\n\n@delayed(pure=False)\n\
         def noop(x): return x\n\nif __name__ == \"__main__\":\n{graph}    \
         with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as c:\n        \
         c.compute(graph, optimize_graph=False).result()\n"
    );
    (vec![("steps.py", text)], words(&["steps.py"]))
}
