"""The whole market under load: node, indexer, serve and worker as they run, simulated agents, a buyer's program.

`python -m bench.load api`: jobs at a steady rate, how long POST /v1/jobs takes and when the lease is mined.
`python -m bench.load soak`: a backlog of jobs over many agents, until all are settled; sums, rates, memory.
`python -m bench.load agents`: real agents and a job a second, how soon after its block a lease is served.

In the first two agents are simulated: real keys, signatures and calls, but the work itself is invented, so the jobs'
class is `none`.
"""
