----------------------------- MODULE Partition -----------------------------
(* One partition's group as built: src/chronik/raft and what creates it. README.md maps the names, and says *)
(* what is left out and what is allowed beyond the code. Indexes are from 1 here, 0 is before the first.    *)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS
    Node,         \* who has, had or may get a replica
    Founders,     \* those of the founding membership; all vote at first
    First,        \* the designated first leader, one of them
    None,         \* no node
    MaxTerm, MaxRecords, MaxChanges,    \* bounds of what happens: terms, records and memberships in a log,
    MaxCrashes, MaxWipes, MaxStart,     \* crashes, replaced disks, and where a log may begin,
    Resizes,      \* what leaders do to raise and lower the number of replicas: "add", "demote", "remove";
    MaxReturns,   \* and how many replicas that were removed are made again
    Mutant        \* the planted error, "none" in the protocol as built

VARIABLES
    \* Of a node, on its disk: written, and what of it is durable.
    dir,          \* which directory: a replaced disk is another one
    rev,          \* which revision: a replica that was removed and comes back is another one
    term, vote, durableTerm, durableVote,
    log, durable, \* entries, ghosts of those before `base` among them; up to where they survive a crash
    base,         \* the last entry that is not there any more, and the membership in force at it
    losing,       \* it will crash before it syncs again
    \* Of a node, in memory.
    role, commit,
    match,        \* of a follower: up to where its log is the present leader's
    \* What is or was on the way. Nothing is ever taken out: messages are lost, doubled, late.
    requests, votes,
    accepted,     \* by term and node, the furthest acceptance that counts
    restarts,
    \* Of the leader of each term: who, its log, the first entry and the commit it may send.
    leaders, termLog, termFrom, termCommit,
    crashes, wipes, returns

state == <<term, vote, durableTerm, durableVote>>
entries == <<log, durable>>
memory == <<role, commit, match>>
way == <<requests, votes, accepted, restarts>>
terms == <<leaders, termLog, termFrom, termCommit>>
name == <<dir, rev>>
faults == <<losing, crashes, wipes, returns>>
vars == <<name, state, entries, base, memory, way, terms, faults>>

Term == 1..MaxTerm
Min(a, b) == IF a < b THEN a ELSE b
Max(a, b) == IF a > b THEN a ELSE b
Largest(s) == CHOOSE x \in s : \A y \in s : y <= x
Prefix(s, n) == SubSeq(s, 1, n)
TermAt(s, i) == IF i = 0 THEN 0 ELSE s[i].term
LastTerm(s) == TermAt(s, Len(s))

(* Entries take one index each. *)
(* A membership names its members: node, directory and revision. Who is no member has the name of the first. *)
FirstMembership ==
    [voters |-> Founders, members |-> Founders, dirs |-> [n \in Node |-> 0], revs |-> [n \in Node |-> 0]]
LeaderStart(t) == [term |-> t, kind |-> "start", members |-> None]
Record(t) == [term |-> t, kind |-> "record", members |-> None]
Change(t, m) == [term |-> t, kind |-> "members", members |-> m]
Count(s, kind) == Cardinality({i \in DOMAIN s : s[i].kind = kind})

-----------------------------------------------------------------------------
(* raft/core/memberships.py: the last one in the log is in force; the one before it is surely committed. *)

Changes(n) == {i \in (base[n].index + 1)..Len(log[n]) : log[n][i].kind = "members"}
MembershipOf(n, s) == IF s = {} THEN base[n].members ELSE log[n][Largest(s)].members
Current(n) == MembershipOf(n, Changes(n))
IsCurrentCommitted(n) == \A i \in Changes(n) : i <= commit[n]
Settled(n) == MembershipOf(n, IF IsCurrentCommitted(n) THEN Changes(n) ELSE Changes(n) \ {Largest(Changes(n))})
CommittedMembership(n) == MembershipOf(n, {i \in Changes(n) : i <= commit[n]})
IsMajority(m, s) == Cardinality(m.voters \cap s) * 2 > Cardinality(m.voters)

(* Whether it names the replica that the node has now. *)
Names(m, n) ==
    /\ n \in m.members
    /\ m.dirs[n] = dir[n]
    /\ m.revs[n] = rev[n] \/ Mutant = "returns_unrevised"

(* RaftCore.is_replica_committed: what an earlier replica promised can do no harm any more. *)
MayVote(n) == Names(IF Mutant = "membership_in_force" THEN Current(n) ELSE Settled(n), n)
Votes(n) == MayVote(n) \/ Mutant = "wiped_votes"
Counts(n) == MayVote(n) \/ Mutant = "wiped_counts"
MayCampaign(n) == Votes(n) /\ n \in Current(n).voters \cup Settled(n).voters

-----------------------------------------------------------------------------
(* Writes and syncs (raft/persistence.py). What was written shows only in what leaves when it is durable, and in *)
(* what a crash leaves. So each write is synced at once, or not before a crash to come: then the node is        *)
(* `losing`, goes on writing and counting on what it wrote, and nothing that waits for a sync ever leaves.      *)

MayLose(n) == IF losing[n] THEN {TRUE} ELSE IF crashes < MaxCrashes THEN BOOLEAN ELSE {FALSE}

(* With term, vote and log as they will be. `lose` is one of the above. *)
WriteState(n, lose, t, v) ==
    /\ term' = [term EXCEPT ![n] = t]
    /\ vote' = [vote EXCEPT ![n] = v]
    /\ durableTerm' = IF lose THEN durableTerm ELSE [durableTerm EXCEPT ![n] = t]
    /\ durableVote' = IF lose THEN durableVote ELSE [durableVote EXCEPT ![n] = v]

WriteLog(n, lose, s, kept) ==
    /\ log' = [log EXCEPT ![n] = s]
    /\ durable' = [durable EXCEPT ![n] = IF lose THEN Min(@, kept) ELSE Len(s)]

Lose(n, lose) ==
    /\ losing' = [losing EXCEPT ![n] = lose]
    /\ crashes' = IF lose /\ ~losing[n] THEN crashes + 1 ELSE crashes
    /\ UNCHANGED <<wipes, returns>>

-----------------------------------------------------------------------------
(* raft/core/candidate.py. To be told of a later term is part of this and of what answers to it. *)
TermsInUse == {term[n] : n \in Node} \cup {t \in Term : leaders[t] # {}}
FirstCampaign == IF Mutant = "made_without_vote" THEN 1 ELSE 2
Campaign(n, t, lose) ==
    /\ MayCampaign(n)
    /\ t > term[n] /\ t >= FirstCampaign /\ t <= Largest(TermsInUse) + 1
    /\ WriteState(n, lose, t, n)
    /\ WriteLog(n, lose, log[n], Len(log[n]))
    /\ role' = [role EXCEPT ![n] = "candidate"]
    /\ match' = [match EXCEPT ![n] = commit[n]]
    /\ IF lose
       THEN UNCHANGED <<votes, requests>>
       ELSE /\ votes' = votes \cup {<<t, n, n>>}
            /\ requests' = requests \cup {<<t, n, LastTerm(log[n]), Len(log[n])>>}
    /\ Lose(n, lose)
    /\ UNCHANGED <<name, base, commit, accepted, restarts, terms>>

(* raft/core/voting.py. A request is <<term, candidate, term of its last entry, index of it>>. *)
IsUpToDate(n, r) ==
    \/ Mutant = "any_log_wins"
    \/ r[3] > LastTerm(log[n])
    \/ (r[3] = LastTerm(log[n]) /\ r[4] >= Len(log[n]))

Grant(n, r, lose) ==
    /\ Votes(n) /\ n # r[2]
    /\ (r[1] > term[n]) \/ (r[1] = term[n] /\ vote[n] \in {None, r[2]} /\ role[n] = "follower")
    /\ IsUpToDate(n, r)
    /\ <<r[1], n, r[2]>> \notin votes /\ r[2] \notin leaders[r[1]]
    /\ WriteState(n, lose, r[1], r[2])
    /\ WriteLog(n, lose, log[n], Len(log[n]))
    /\ role' = [role EXCEPT ![n] = "follower"]
    /\ match' = [match EXCEPT ![n] = IF r[1] > term[n] THEN commit[n] ELSE @]
    /\ votes' = IF lose /\ Mutant # "vote_not_persisted" THEN votes ELSE votes \cup {<<r[1], n, r[2]>>}
    /\ Lose(n, lose)
    /\ UNCHANGED <<name, base, commit, requests, accepted, restarts, terms>>

(* raft/core/leader.py, `enter`: the marker that opens the term. In term 1 the others have voted already. *)
Lead(n, lose) ==
    LET t == term[n]
        electors == {v \in Node : <<t, v, n>> \in votes}
        opened == Append(log[n], LeaderStart(t))
    IN
    /\ role[n] = "candidate" /\ n \in electors /\ IsMajority(Current(n), electors)
    /\ role' = [role EXCEPT ![n] = "leader"]
    /\ WriteLog(n, lose, opened, Len(log[n]))
    /\ leaders' = [leaders EXCEPT ![t] = @ \cup {n}]
    /\ termLog' = [termLog EXCEPT ![t] = opened]
    /\ termFrom' = [termFrom EXCEPT ![t] = base[n].index + 1]
    /\ termCommit' = [termCommit EXCEPT ![t] = commit[n]]
    /\ Lose(n, lose)
    /\ UNCHANGED <<name, state, base, commit, match, way>>

-----------------------------------------------------------------------------
(* The leader's log. What is written is sent before it is synced. *)

Write(n, entry, lose) ==
    /\ WriteLog(n, lose, Append(log[n], entry), Len(log[n]))
    /\ termLog' = [termLog EXCEPT ![term[n]] = Append(@, entry)]
    /\ Lose(n, lose)
    /\ UNCHANGED <<name, state, base, memory, way, leaders, termFrom, termCommit>>

Propose(n, lose) ==
    /\ role[n] = "leader" /\ Count(log[n], "record") < MaxRecords
    /\ Write(n, Record(term[n]), lose)

Start(n) == Largest({1} \cup {i \in DOMAIN log[n] : log[n][i].term = term[n] /\ log[n][i].kind = "start"})
IsSettled(n) == commit[n] >= Start(n)

(* Whether a membership without the node is committed after one with it. The leader reports it, and only then   *)
(* does the metadata let the node delete what it has of the replica, or give it another one.                    *)
IsRemoved(x) ==
    \E t \in Term : \E i \in 1..termCommit[t] :
        LET has(j) == termLog[t][j].kind = "members" /\ x \in termLog[t][j].members.members IN
        /\ termLog[t][i].kind = "members" /\ ~has(i)
        /\ x \in Founders \/ \E j \in 1..(i - 1) : has(j)

(* Under which revision a leader may add a node: as the node knows it, or ahead of the node, or behind it when  *)
(* the leader's own metadata is late.                                                                           *)
Revisions(x) == 0..rev[x] \cup IF returns < MaxReturns /\ IsRemoved(x) THEN {rev[x] + 1} ELSE {}

If(kind, memberships) == IF kind \in Resizes THEN memberships ELSE {}

(* node/reconciler.py. A voter on another disk than the log names becomes a learner there, the membership is    *)
(* repeated, the learner becomes a voter. The core also lets the new disk take the old one's place at once.     *)
(* A replica comes as a learner and goes at once or by way of one.                                              *)
Wanted(n) ==
    LET m == Current(n)
        others == m.members \ {n}
        moved == {x \in others : m.dirs[x] # dir[x] /\ Cardinality(m.voters) > 1}
        learners == m.members \ m.voters
        absent == Node \ m.members
        without(s) == [voters |-> m.voters \ s, members |-> m.members \ s,
                       dirs |-> [x \in Node |-> IF x \in s THEN 0 ELSE m.dirs[x]],
                       revs |-> [x \in Node |-> IF x \in s THEN 0 ELSE m.revs[x]]]
        renamed(x) == [m EXCEPT !.dirs[x] = dir[x]]
        added(x, r) == [m EXCEPT !.members = @ \cup {x}, !.dirs[x] = dir[x], !.revs[x] = r]
    IN  {[renamed(x) EXCEPT !.voters = @ \ {x}] : x \in moved}
        \cup {renamed(x) : x \in moved}
        \cup {m : x \in learners}
        \cup {[m EXCEPT !.voters = @ \cup {x}] : x \in learners}
        \cup If("demote", {[m EXCEPT !.voters = @ \ {x}] : x \in m.voters \ {n}})
        \cup If("remove", {without({x}) : x \in others})
        \cup If("add", UNION {{added(x, r) : r \in Revisions(x)} : x \in absent})
        \cup IF Mutant = "two_at_once" THEN {without(others)} ELSE {}

ChangeMembers(n, m, lose) ==
    /\ role[n] = "leader" /\ Count(log[n], "members") < MaxChanges /\ m.voters # {}
    /\ IsSettled(n) /\ IsCurrentCommitted(n)
    /\ Write(n, Change(term[n], m), lose)

(* `_maybe_commit`: only entries of its own term are counted; itself up to what it has synced. *)
CountedMatch(n, v) ==
    IF v # n THEN accepted[term[n]][v]
    ELSE IF Mutant = "leader_counts_unsynced" THEN Len(log[n]) ELSE durable[n]
Counted(n) == Largest({0} \cup
    {i \in DOMAIN log[n] : IsMajority(Current(n), {v \in Node : CountedMatch(n, v) >= i})})

Commit(n) ==
    LET i == Counted(n) IN
    /\ role[n] = "leader"
    /\ i > commit[n]
    /\ i >= Start(n) \/ Mutant = "commit_old_term"
    /\ commit' = [commit EXCEPT ![n] = i]
    /\ termCommit' = [termCommit EXCEPT ![term[n]] = i]
    /\ UNCHANGED <<name, state, entries, base, role, match, way, leaders, termLog, termFrom, faults>>

-----------------------------------------------------------------------------
(* raft/core/accepting.py: a follower takes entry j of the leader of term t, behind entry j - 1. *)

Has(n, i, t) == i \in base[n].index..Len(log[n]) /\ TermAt(log[n], i) = t

IsJoined(n, t, j) ==
    \/ j - 1 <= commit[n]
    \/ Has(n, j - 1, TermAt(termLog[t], j - 1))
    \/ (Mutant = "no_join_check" /\ j - 1 <= Len(log[n]))

IsKnown(n, t, j) ==
    /\ j <= Len(log[n])
    /\ j <= commit[n] \/ TermAt(log[n], j) = TermAt(termLog[t], j) \/ Mutant = "conflict_kept"

Hears(n, t) == t >= term[n] /\ leaders[t] # {} /\ n \notin leaders[t]
Follow(n, t, lose) ==
    /\ WriteState(n, lose, t, IF t > term[n] THEN None ELSE vote[n])
    /\ role' = [role EXCEPT ![n] = "follower"]
MatchIn(n, t) == IF t > term[n] THEN commit[n] ELSE match[n]

(* Acceptances that count for nothing are not modelled. *)
Accept(n, t, i, lose) ==
    accepted' = IF ~Counts(n) \/ (lose /\ Mutant # "ack_before_fsync") THEN accepted
                ELSE [accepted EXCEPT ![t][n] = Max(@, i)]

(* Whether it is not just what was taken before, nor an acceptance to be said again. *)
IsNews(n, t, j) ==
    \/ t > term[n] \/ role[n] # "follower" \/ j > match[n]
    \/ (Counts(n) /\ ~losing[n] /\ accepted[t][n] < match[n])

Take(n, t, j, lose) ==
    LET isKnown == IsKnown(n, t, j)
        reached == Max(MatchIn(n, t), j)
    IN
    /\ Hears(n, t) /\ j >= termFrom[t] /\ IsJoined(n, t, j)
    /\ IsNews(n, t, j)
    /\ Follow(n, t, lose)
    /\ IF isKnown
       THEN WriteLog(n, lose, log[n], Len(log[n]))
       ELSE WriteLog(n, lose, Append(Prefix(log[n], j - 1), termLog[t][j]), j - 1)
    /\ match' = [match EXCEPT ![n] = reached]
    /\ Accept(n, t, reached, lose)
    /\ Lose(n, lose)
    /\ UNCHANGED <<name, base, commit, requests, votes, restarts, terms>>

(* A commit comes with entries or a heartbeat. *)
LearnCommit(n) ==
    LET c == Min(termCommit[term[n]], match[n]) IN
    /\ term[n] > 0 /\ Hears(n, term[n]) /\ role[n] = "follower"
    /\ c > commit[n]
    /\ commit' = [commit EXCEPT ![n] = c]
    /\ UNCHANGED <<name, state, entries, base, role, match, way, terms, faults>>

-----------------------------------------------------------------------------
(* Log start. Retention drops committed, durable records; a follower behind it restarts its log there. *)

Trim(n, i) ==
    /\ i > base[n].index /\ i <= durable[n]
    /\ i <= commit[n] \/ Mutant = "trims_uncommitted"
    /\ log[n][i].kind = "record"
    /\ base' = [base EXCEPT ![n] = [index |-> i, members |-> MembershipOf(n, {c \in Changes(n) : c <= i})]]
    /\ UNCHANGED <<name, state, entries, memory, way, terms, faults>>

SendRestart(n) ==
    LET i == IF Mutant = "restarts_at_end" THEN Len(log[n]) ELSE base[n].index IN
    /\ role[n] = "leader" /\ base[n].index > 0
    /\ restarts' = restarts \cup {[term |-> term[n], index |-> i, members |-> CommittedMembership(n)]}
    /\ UNCHANGED <<name, state, entries, base, memory, requests, votes, accepted, terms, faults>>

(* The store is synced before the log is reset (raft/replicated_log.py), so the new beginning is durable. *)
Restart(n, r, lose) ==
    LET i == r.index
        isKnown == i <= commit[n] \/ Has(n, i, TermAt(termLog[r.term], i))
    IN
    /\ Hears(n, r.term)
    /\ commit' = [commit EXCEPT ![n] = Max(@, i)]
    /\ match' = [match EXCEPT ![n] = Max(MatchIn(n, r.term), commit'[n])]
    /\ IF isKnown
       THEN /\ Follow(n, r.term, lose)
            /\ WriteLog(n, lose, log[n], Len(log[n]))
            /\ UNCHANGED base
       ELSE /\ Follow(n, r.term, FALSE)
            /\ WriteLog(n, FALSE, Prefix(termLog[r.term], i), i)
            /\ base' = [base EXCEPT ![n] = [index |-> i, members |-> r.members]]
    /\ Accept(n, r.term, match'[n], lose)
    /\ Lose(n, lose)
    /\ UNCHANGED <<name, requests, votes, restarts, terms>>

-----------------------------------------------------------------------------
(* What goes wrong. *)

ForgetMemory(n, i) ==
    /\ commit' = [commit EXCEPT ![n] = i]
    /\ match' = [match EXCEPT ![n] = i]

(* Of what was not synced any beginning of the log is left (raft/reconcile.py), and term and vote as synced *)
(* or as written.                                                                                          *)
Crash(n, end, isStateLeft) ==
    LET t == IF isStateLeft THEN term[n] ELSE durableTerm[n]
        v == IF isStateLeft THEN vote[n] ELSE durableVote[n]
        last == IF end = 0 THEN 0 ELSE log[n][end].term
        leadsAgain == Mutant = "leads_again" /\ n = First /\ Max(t, last) = 1
    IN
    /\ losing[n] \/ (crashes < MaxCrashes /\ isStateLeft)
    /\ crashes' = IF losing[n] THEN crashes ELSE crashes + 1
    /\ losing' = [losing EXCEPT ![n] = FALSE]
    /\ term' = [term EXCEPT ![n] = Max(t, last)] /\ durableTerm' = [durableTerm EXCEPT ![n] = t]
    /\ vote' = [vote EXCEPT ![n] = IF t >= last THEN v ELSE None] /\ durableVote' = [durableVote EXCEPT ![n] = v]
    /\ log' = [log EXCEPT ![n] = Prefix(@, end)] /\ durable' = [durable EXCEPT ![n] = end]
    /\ role' = [role EXCEPT ![n] = IF leadsAgain THEN "candidate" ELSE "follower"]
    /\ ForgetMemory(n, base[n].index)
    /\ UNCHANGED <<name, base, way, terms, wipes, returns>>

Forget(n, founding) ==
    /\ term' = [term EXCEPT ![n] = 0] /\ durableTerm' = [durableTerm EXCEPT ![n] = 0]
    /\ vote' = [vote EXCEPT ![n] = None] /\ durableVote' = [durableVote EXCEPT ![n] = None]
    /\ log' = [log EXCEPT ![n] = <<>>] /\ durable' = [durable EXCEPT ![n] = 0]
    /\ base' = [base EXCEPT ![n] = [index |-> 0, members |-> founding]]
    /\ losing' = [losing EXCEPT ![n] = FALSE]
    /\ role' = [role EXCEPT ![n] = "follower"]
    /\ ForgetMemory(n, 0)
    /\ UNCHANGED <<way, terms, crashes>>

(* The node comes back with an empty directory. Its metadata gives it the replica again, with the membership of  *)
(* the topic's record, which names the old directory, so that it begins without a vote.                         *)
Wipe(n) ==
    /\ wipes < MaxWipes
    /\ wipes' = wipes + 1
    /\ dir' = [dir EXCEPT ![n] = @ + 1]
    /\ Forget(n, FirstMembership)
    /\ UNCHANGED <<rev, returns>>

(* A replica that was removed, whose files, term and vote are deleted, is made again in the same directory: with *)
(* the founding membership, as any replica is, and a new revision, so that it begins without a vote. Until then  *)
(* a node that deleted it says nothing, as one that is slow.                                                     *)
Return(n) ==
    /\ returns < MaxReturns /\ IsRemoved(n)
    /\ returns' = returns + 1
    /\ rev' = [rev EXCEPT ![n] = @ + 1]
    /\ Forget(n, IF Mutant = "made_of_present" THEN [FirstMembership EXCEPT !.revs[n] = rev'[n]] ELSE FirstMembership)
    /\ UNCHANGED <<dir, wipes>>

-----------------------------------------------------------------------------
(* The beginning: each node makes its replica when it applies the topic's record, having voted in term 1 for the *)
(* designated leader (RaftCore.bootstrap), which leads when its own vote is durable. Term 1 here is the group's  *)
(* first term there, which the topic's record says (README, Term 1). A replica that is not made                  *)
(* yet answers nothing, as one that is slow; one that a crash left nothing of is made again.                     *)

HasVoted(n) == n \in Founders /\ (n = First \/ Mutant # "made_without_vote")

Init ==
    /\ dir = [n \in Node |-> 0] /\ rev = dir
    /\ term = [n \in Node |-> IF HasVoted(n) THEN 1 ELSE 0] /\ durableTerm = term
    /\ vote = [n \in Node |-> IF HasVoted(n) THEN First ELSE None]
    /\ durableVote = vote
    /\ log = [n \in Node |-> <<>>] /\ durable = [n \in Node |-> 0]
    /\ base = [n \in Node |-> [index |-> 0, members |-> FirstMembership]]
    /\ role = [n \in Node |-> IF n = First THEN "candidate" ELSE "follower"]
    /\ commit = [n \in Node |-> 0] /\ match = commit
    /\ requests = {} /\ restarts = {}
    /\ votes = {<<1, n, First>> : n \in Founders}
    /\ accepted = [t \in Term |-> [n \in Node |-> 0]]
    /\ leaders = [t \in Term |-> {}]
    /\ termLog = [t \in Term |-> <<>>]
    /\ termFrom = [t \in Term |-> 1] /\ termCommit = [t \in Term |-> 0]
    /\ losing = [n \in Node |-> FALSE] /\ crashes = 0 /\ wipes = 0 /\ returns = 0

Next == \E n \in Node :
    \/ \E t \in Term, lose \in MayLose(n) : Campaign(n, t, lose)
    \/ \E r \in requests, lose \in MayLose(n) : Grant(n, r, lose)
    \/ \E lose \in MayLose(n) : Lead(n, lose)
    \/ \E lose \in MayLose(n) : Propose(n, lose)
    \/ \E m \in Wanted(n), lose \in MayLose(n) : ChangeMembers(n, m, lose)
    \/ Commit(n)
    \/ \E t \in Term, lose \in MayLose(n) : \E j \in 1..Len(termLog[t]) : Take(n, t, j, lose)
    \/ LearnCommit(n)
    \/ \E i \in 1..Min(MaxStart, Len(log[n])) : Trim(n, i)
    \/ SendRestart(n)
    \/ \E r \in restarts, lose \in MayLose(n) : Restart(n, r, lose)
    \/ \E end \in durable[n]..Len(log[n]), isStateLeft \in BOOLEAN : Crash(n, end, isStateLeft)
    \/ Wipe(n)
    \/ Return(n)

Spec == Init /\ [][Next]_vars
=============================================================================
