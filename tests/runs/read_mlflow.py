"""Reads all runs of a file store with MLflow's own client, and prints them as JSON."""

import json
import os
import sys

os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"

from mlflow import MlflowClient

client = MlflowClient(tracking_uri="file:" + os.path.abspath(sys.argv[1]))
found = []
for experiment in client.search_experiments():
    for listed in client.search_runs([experiment.experiment_id]):
        run = client.get_run(listed.info.run_id)
        artifacts = client.list_artifacts(run.info.run_id)
        files = [file for artifact in artifacts for file in [artifact] + client.list_artifacts(run.info.run_id, artifact.path)]
        histories = {
            name: [[point.step, point.value, point.timestamp] for point in client.get_metric_history(run.info.run_id, name)]
            for name in run.data.metrics
        }
        found.append(
            {
                "experiment": experiment.name,
                "id": run.info.run_id,
                "name": run.info.run_name,
                "status": run.info.status,
                "start": run.info.start_time,
                "end": run.info.end_time,
                "params": run.data.params,
                "metrics": run.data.metrics,
                "histories": histories,
                "tags": run.data.tags,
                "files": {file.path: file.file_size for file in files if not file.is_dir},
            }
        )
json.dump(found, sys.stdout)
