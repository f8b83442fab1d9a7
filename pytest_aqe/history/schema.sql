-- The history, version 3. One file, written in DuckDB's storage format v1.0.0 so that
-- every DuckDB from 1.2.2 on can read it. There are no indexes and no keys enforced by the
-- database: all writing happens in one transaction of one process (history/writes.py), and
-- an index would make every ingest pay for what is checked there once.

-- What this file is: the schema's version and when the file was created.
create table meta (
    name varchar, -- 'schema_version', 'created_at'
    value varchar -- as text
);

-- One row a pytest session, or a run that was imported.
create table runs (
    run_no integer, -- short number used inside this file only
    run_id varchar, -- the run's name everywhere else; unique
    origin varchar, -- 'session', 'junit', 'reportlog' or 'interchange'
    started_at timestamp, -- UTC
    ended_at timestamp, -- UTC; null for a killed or imported run
    status varchar, -- complete, stopped (-x), interrupted, broken, killed; null if imported
    exit_status smallint, -- pytest's exit code; null if killed or imported
    collected integer, -- tests collected before deselection; null if unmeasured
    deselected integer, -- tests deselected, by anyone; null if unmeasured
    recorded integer, -- results recorded
    suite varchar, -- --aqe-suite; variants are kept apart
    mode varchar, -- observe, order, select
    policy varchar, -- what ranked the tests; null if nothing did
    "commit" varchar, -- git commit
    tree varchar, -- git tree, or 'dirty-' and a hash when there were uncommitted edits
    branch varchar, -- git branch
    base varchar, -- the commit that the change was measured against; '' if an import told no more
    source varchar, -- ci, local
    ci varchar, -- CI provider
    trust varchar, -- 'untrusted' for a pull request: such rows may only make us run more
    environment varchar, -- short name of Python and system
    python varchar, -- version
    platform varchar, -- system, release, machine
    pytest varchar, -- version
    plugins varchar[] -- installed pytest plugins with versions
);

-- The files that a run's code changed against its base. A run with an unknown change has no
-- rows here and a null base.
create table changed_files (
    run_no integer, -- runs.run_no
    path varchar -- from the git root
);

-- One row a test of a suite, under the identity that survives working directories, rootdirs,
-- memory addresses, xdist groups, renames and moves.
create table tests (
    test_no integer, -- short number used inside this file only
    suite varchar, -- runs.suite
    identity varchar, -- path from the git root, qualified name, normalized parameters
    file varchar, -- the path in it
    body varchar, -- fingerprint of the test function's code; null if unknown
    first_run_no integer -- the run that first recorded it
);

-- The node ids under which a test was seen, as pytest wrote them.
create table nodes (
    node_no integer, -- short number used inside this file only
    test_no integer, -- tests.test_no
    node_id varchar -- raw
);

-- One row an attempt at a test in a run. Most of the file.
create table results (
    run_no integer, -- runs.run_no
    test_no integer, -- tests.test_no
    node_no integer, -- nodes.node_no
    attempt smallint, -- 0 for the first
    attempt_mode varchar, -- first, inproc, isolated; null if unknown
    outcome varchar, -- passed, failed, error, skipped, xfailed, xpassed, crashed
    duration float, -- seconds in the test itself; null if unmeasured
    setup float, -- seconds
    teardown float, -- seconds
    position integer, -- order of execution on its worker, from 0
    collected integer, -- place in the collected order, from 0, before we reorder
    worker varchar, -- xdist worker; null without xdist
    environment varchar, -- as in runs, or as imported
    signature varchar, -- of a failure: error type, file, hash of the normalized message
    code varchar, -- fingerprint of the code the test ran; null if not tracked
    evidence varchar -- facts by other plugins, as JSON
);

-- What a session start needs to know of a test, kept up with every ingest, so that a start
-- costs the number of tests and not the length of the history. Always equal to what the
-- results say (`pytest-aqe doctor` recomputes and compares). An execution is a run in which
-- the test was neither skipped nor absent; it failed when its last attempt did.
create table rollups (
    test_no integer, -- tests.test_no
    runs integer, -- executions
    failures integer, -- executions that failed
    flips integer, -- executions whose outcome differs from the execution before
    flaked integer, -- executions that failed first and passed on a later attempt
    streak integer, -- executions since the outcome last changed; negative while failing
    weight double, -- executions, decayed by .9 with each later one
    failing double, -- failures, decayed likewise
    seconds_sum double, -- durations, decayed likewise
    seconds_weight double, -- measured durations, decayed likewise
    first_at timestamp, -- first execution, UTC
    last_at timestamp, -- last execution, UTC
    last_run_no integer, -- its run
    last_failed_at timestamp, -- last failure, UTC; null if it never failed
    last_failed_run_no integer -- its run
);

-- Tests that got a new identity: same body, old place gone.
create table renames (
    run_no integer, -- the run that first saw the new identity
    suite varchar, -- runs.suite
    old varchar, -- identity before
    new varchar -- identity after
);

-- Dependencies of tests (--aqe-mode=select).

-- A part of the project whose change can be told. A Python file has the piece '<module>' and
-- one for each outermost function or method; anything else is one piece named ''. Files are
-- paths from the git root; '<package>/NAME' is an installed package, '<environ>/NAME' an
-- environment variable, a path that ends in '/' a directory that was listed.
create table pieces (
    piece_no integer, -- short number used inside this file only
    file varchar,
    name varchar -- '<module>', qualified name, or ''
);

-- Pieces that tests depend on together; tests that run the same code share a set.
create table sets (
    set_no integer, -- short number used inside this file only
    key varchar, -- hash of its pieces' names; the set's name in run files
    pieces integer[] -- pieces.piece_no, sorted
);

-- What a test depended on when it last passed in an environment, or was skipped where nothing
-- else can have decided that ('skipped' is a doubt then): its latest runs on different trees,
-- until two runs of all of its file did not have it. A run that left it out, because nothing
-- of it had changed since one of those, takes that one's place. A test without a row here is
-- never deselected.
create table dependencies (
    test_no integer, -- tests.test_no
    run_no integer, -- runs.run_no; the files as that run saw them are in run_files
    own_no integer, -- sets.set_no: what ran, loaded or opened during the test
    base_no integer, -- sets.set_no: what its module and its conftests need to be imported
    doubt varchar[], -- what could not be followed: 'subprocess', 'thread', ...; 'skipped', 'always'
    globs varchar[], -- what aqe_depends narrows the doubt to; null without the mark
    ran_no integer -- runs.run_no: in which it ran; run_no may be a later one that left it out
);

-- Which version of each file a run saw; only for runs that dependencies refers to.
create table run_files (
    run_no integer, -- runs.run_no
    file varchar,
    version varchar -- hash of its content, 'absent', 'unstable' (edited meanwhile); null if unused
);

-- How many tests a run collected from a file, whatever then became of them: when all of them
-- are left out, the file need not be imported to know it.
create table collected (
    run_no integer, -- runs.run_no
    file varchar,
    tests integer
);

-- The pieces of a Python file at one version, so that a changed file is compared piece by
-- piece when its old content is gone.
create table file_pieces (
    file varchar,
    version varchar, -- as in run_files
    names varchar[], -- of its pieces
    checksums varchar[], -- of its pieces, in the order of names
    inert varchar[] -- names of functions that may come and go without a trace at import
);

-- What selection would have done, or did, in a run, judged by its outcomes.
create table selections (
    run_no integer, -- runs.run_no
    mode varchar, -- select, or shadow: a full run that was scored in silence
    known integer, -- tests that selection had an opinion about
    selected integer, -- of these, those it runs
    seconds double, -- measured duration of the known tests that ran
    selected_seconds double, -- of the selected ones
    failures integer, -- known tests that failed, in a full run or when probed
    caught integer, -- of these, selected ones
    escaped integer, -- of these, tests that selection leaves out
    unstable integer -- of these, tests whose outcome was known to change by itself
);

-- Flaky tests (learning/flaky.py), each list with one number for every flake rate of its grid.

-- What is believed of a test that failed at least once, by all runs that flake_marks covers.
create table flake_tests (
    test_no integer, -- tests.test_no
    rates double[], -- P(flake rate)
    signatures varchar[], -- those of its flakes, as in results
    weights double[], -- how often, in the order of signatures
    hits integer, -- failures outside outages
    flagged boolean, -- known to be flaky
    executions integer, -- runs seen
    branch varchar, -- lane of the latest of them
    environment varchar -- likewise
);

-- What was last seen of such a test in a lane, and whether it is broken there.
create table flake_lanes (
    test_no integer, -- tests.test_no
    branch varchar, -- 'local:' and the branch for a work tree
    environment varchar, -- '' if unknown
    broken double[], -- P(broken | flake rate)
    code varchar, -- fingerprint of the code it ran; null if not tracked
    tree varchar -- of the run
);

-- Signatures with which several tests failed together.
create table flake_signatures (
    suite varchar, -- runs.suite
    signature varchar, -- as in results
    events integer -- runs in which it did
);

-- What was concluded of a test's failures in a run at that time, all its attempts included.
create table flake_verdicts (
    run_no integer, -- runs.run_no
    test_no integer, -- tests.test_no
    node_no integer, -- nodes.node_no
    environment varchar, -- as in results; '' if unknown
    p_flaky double, -- P(the test flakes)
    p_broken double, -- P(it is broken)
    flagged boolean, -- known to be flaky before this run
    suppressed boolean, -- and not likely to be broken: a quarantine keeps the run green
    outage double -- share by which the failure was the run's and not the test's
);

-- Why a test flakes, where `pytest-aqe flaky bisect` has proved it.
create table flake_causes (
    test_no integer, -- tests.test_no
    cause varchar, -- 'order-dependent (victim)', 'order-dependent (brittle)'
    evidence varchar, -- for people
    others varchar[] -- node ids of the tests before which it fails, or passes
);

-- Failures that were run again (--aqe-flaky=rerun) and whose truth has come out since.
create table flake_episodes (
    run_no integer, -- runs.run_no
    node_no integer, -- nodes.node_no
    real boolean -- it was a regression, no flake
);

-- What these taught about running a failed test again; beside it holds what ships.
create table flake_values (
    suite varchar, -- runs.suite
    state integer, -- see learning/rerun.py
    q double[], -- minutes saved by each action: real, flaky, inproc, isolated
    visits integer[] -- how often each was tried
);

-- How far the beliefs have come; runs after it, by their start, they do not know.
create table flake_marks (
    suite varchar, -- runs.suite
    run_no integer, -- the latest run they know
    started_at timestamp, -- its start
    runs integer -- how many they know
);

-- Coverage and generated tests (--aqe-gaps, --aqe-generate).

-- What a run covered of each file of the project.
create table covered (
    run_no integer, -- runs.run_no
    file varchar, -- from the git root
    statements integer, -- that can run
    ran integer, -- of these, those that some test ran
    branches integer, -- jumps that can be taken; null if unmeasured
    taken integer, -- of these, those that some test took
    changed integer, -- statements that the change touched; null if the change is unknown
    changed_ran integer -- of these, those that some test ran
);

-- What no test ran, by function, as the latest run of a suite that measured it saw it.
create table gaps (
    run_no integer, -- runs.run_no
    place integer, -- by risk, from 0
    file varchar, -- from the git root
    name varchar, -- qualified name of the function; '' outside functions
    line integer, -- where it begins
    end_line integer, -- and ends
    lines integer[], -- statements that no test ran
    sources integer[], -- lines from which a jump was never taken; null if unmeasured
    destinations integer[], -- where that jump leads; negative: out of the function
    statements integer, -- of the function
    risk double, -- see learning/risk.py
    changed integer[], -- of lines, those that the change touched; null if it is unknown
    churn integer, -- recent commits to the file; null without git
    complexity integer, -- decisions in the function, plus 1 (McCabe)
    callers integer, -- functions of the project that name it
    failures double, -- decayed failures of the tests that reach it; null without contexts
    flaky_only boolean, -- only flaky tests reach it; null without contexts
    tests varchar[] -- node ids of the nearest tests, at most a few
);

-- One row for every candidate that was tried, and for every time an author had nothing to offer.
create table generations (
    run_no integer, -- runs.run_no
    gap_file varchar, -- gaps.file
    gap_name varchar, -- gaps.name
    missing integer, -- lines and branches missing before
    complexity integer, -- gaps.complexity
    reached boolean, -- some test reaches the function; null without contexts
    author varchar, -- who wrote it
    model boolean, -- a language model wrote it, or a part of it
    attempt integer, -- repairs before it
    prompt varchar, -- hash of what was asked of a model
    tokens_in integer, -- null where nothing was metered
    tokens_out integer, -- likewise
    cost double, -- US dollars, likewise
    outcome varchar, -- accepted, rejected, bug, nothing
    stage varchar, -- where it was refused
    reason varchar, -- why, in one line
    lines integer, -- added in the target; null if it was refused before they were measured
    branches integer, -- likewise
    mutants integer, -- tried on what it runs
    killed integer, -- of these, noticed
    tests integer, -- test functions that were accepted
    seconds double, -- CPU time of author and trial
    layer varchar, -- the sandbox that was active
    body varchar -- the candidate's text
);

-- The selection learner (docs: how the learner learns).

-- The policies of a suite, version by version; the latest orders its tests.
create table policies (
    suite varchar, -- runs.suite
    version integer, -- counts up from 1
    created_at timestamp, -- UTC
    run_no integer, -- the last run it had learnt from
    policy varchar, -- linear-q or beta-mean, @ the exponent of seconds it divides by
    reason varchar, -- why it is a new version: learnt, tuned, stepped back and why, rolled back
    digest varchar, -- of the snapshot
    snapshot varchar -- weights and what a session start needs beside test_scores, as JSON
);

-- Where the learner stands, so that a session learns from its own run alone.
create table learner_states (
    suite varchar, -- runs.suite
    run_no integer, -- the last run it knows
    state blob -- what is known of every test, as arrays
);

-- The runs that it learns from again.
create table lessons (
    suite varchar, -- runs.suite
    place integer, -- in the memory; a new lesson replaces the oldest
    lesson blob -- features of tests that failed and passed
);

-- What the policy in force gives each test, kept so that a session start needs no arithmetic.
create table test_scores (
    test_no integer, -- tests.test_no
    q double[] -- log of value / seconds^b where the change is unrelated, near, of its stem, its own
);

-- How often tests failed in runs that changed a file.
create table cofailures (
    suite varchar, -- runs.suite
    path varchar, -- of the changed file
    changes integer, -- runs that changed it
    tests integer[], -- tests.test_no
    failures integer[] -- of these tests, in these runs
);

-- What each policy would have scored in a full run with failures, judged by its outcomes.
create table policy_scores (
    run_no integer, -- runs.run_no
    policy varchar, -- 'in force' is the one that the guard had chosen before the run
    tests integer, -- in the run
    failures integer, -- of them
    apfd double,
    apfdc double, -- null where a duration is missing
    ttff double, -- share of the time until the first failure; null for random
    rank double -- tests until the first failure; the mean of all orders for random
);

-- Language models (--aqe-llm).

-- One row a question: the ledger, and by key the cache of replies.
create table calls (
    run_no integer, -- runs.run_no
    key varchar, -- hash of model, role and prompt; the same question has the same key
    model varchar, -- provider/model
    role varchar, -- author, repairer, reviewer, explainer
    sample integer, -- of several answers to one prompt, from 0
    bytes integer, -- of the prompt
    cached boolean, -- answered from an earlier row, nothing was sent
    requests integer, -- that were sent and answered
    tokens_in integer, -- as the server counted; null where it did not
    tokens_out integer, -- likewise
    cost double, -- US dollars; null where tokens or price are unknown
    seconds double, -- until the answer was complete
    cut boolean, -- the reply was stopped by the limit on tokens
    error varchar, -- why there is no answer
    text varchar, -- the reply; null where there is none or it was cached
    data varchar -- its structured answer as JSON, of reviewer and explainer
);

-- Which test was shown to a model as an example, and whether a test came of it.
create table examples (
    run_no integer, -- runs.run_no
    test varchar, -- node id from the git root, without parameters
    gap_file varchar, -- gaps.file
    gap_name varchar, -- gaps.name
    author varchar, -- the model
    accepted boolean -- a candidate for that gap was accepted
);

-- What agents remember: the latest value of each key.
create table memory (
    partition varchar,
    key varchar, -- begins with 'aqe/'
    value varchar, -- JSON; null where it was deleted
    stored_at timestamp, -- UTC
    expires_at timestamp -- UTC; null if never
);

-- When each table was last written and last read (`pytest-aqe doctor`).
create table touches (
    table_name varchar, -- a table of this file
    last_write timestamp, -- UTC; null if never
    last_read timestamp -- UTC; null if never
);
