"""Runs TrainJobs one after the other in one JVM: jobs.py FILE, which has their words as lists; FILE.status gets their exit codes."""

import json
import sys

from pyspark.java_gateway import launch_gateway

gateway = launch_gateway()
with open(sys.argv[1]) as file:
    jobs = json.load(file)
status = []
for words in jobs:
    array = gateway.new_array(gateway.jvm.String, len(words))
    for place, word in enumerate(words):
        array[place] = word
    gateway.jvm.System.err.println("=== the next job")
    status.append(gateway.jvm.dev.arblast.spark.TrainJob.run(array))
with open(sys.argv[1] + ".status", "w") as file:
    json.dump(status, file)
