------------------------------- MODULE Safety -------------------------------
(* What must be so in every state of `Partition`, and in every step. *)
EXTENDS Partition, TLC

IsPrefix(s, t) == Len(s) <= Len(t) /\ s = Prefix(t, Len(s))
Committed(t) == Prefix(termLog[t], termCommit[t])

(* Raft's own (section 5.2, figure 3). *)
OneLeaderPerTerm == \A t \in Term : Cardinality(leaders[t]) <= 1

LogMatching ==
    \A n, m \in Node :
        LET same == {i \in 1..Min(Len(log[n]), Len(log[m])) : log[n][i].term = log[m][i].term}
        IN same # {} => Prefix(log[n], Largest(same)) = Prefix(log[m], Largest(same))

(* Acknowledged is kept: what the leader of a term committed, and so acknowledged, is in the log of the leader *)
(* of every later term, whoever voted for it, also on a replaced disk.                                        *)
LeaderCompleteness ==
    \A t \in Term : \A later \in (t + 1)..MaxTerm :
        leaders[later] # {} => IsPrefix(Committed(t), termLog[later])

(* What any two replicas hold for committed is the same, as far as both go, and a leader has committed it. *)
StateMachineSafety ==
    /\ \A n \in Node : commit[n] <= Min(Len(log[n]), Largest({termCommit[t] : t \in Term}))
    /\ \A n \in Node, t \in Term :
           LET end == Min(commit[n], termCommit[t]) IN Prefix(log[n], end) = Prefix(termLog[t], end)
    /\ \A n, m \in Node :
           LET end == Min(commit[n], commit[m]) IN Prefix(log[n], end) = Prefix(log[m], end)

(* What the code's own invariants say. *)
Sound ==
    \A n \in Node :
        /\ base[n].index <= durable[n] /\ durable[n] <= Len(log[n])
        /\ base[n].index <= commit[n]
        /\ role[n] = "follower" => commit[n] <= match[n]
        /\ LastTerm(log[n]) <= term[n]
        /\ durableTerm[n] <= term[n]
        /\ \A i \in 2..Len(log[n]) : log[n][i - 1].term <= log[n][i].term

(* Steps. *)
LeaderAppendOnly ==
    [][\A t \in Term : leaders[t] # {} /\ leaders'[t] = leaders[t] => IsPrefix(termLog[t], termLog'[t])]_vars

HasRestarted(n) == (losing[n] /\ ~losing'[n]) \/ crashes' > crashes \/ wipes' > wipes \/ returns' > returns

(* Within the life of a process; a new one begins with what is committed for sure. *)
HighWatermarkMonotonic ==
    [][\A n \in Node : commit'[n] >= commit[n] \/ HasRestarted(n)]_vars

(* What was durable of term and vote stays, while the replica does. *)
PromisesKept ==
    [][\A n \in Node : dir'[n] = dir[n] /\ rev'[n] = rev[n] =>
        /\ durableTerm'[n] >= durableTerm[n]
        /\ durableTerm'[n] = durableTerm[n] => durableVote[n] \in {None, durableVote'[n]}]_vars

(* What some configurations leave out, to be smaller. *)
OneCandidatePerTerm ==
    \A t \in 2..MaxTerm : LET asked == {r \in requests : r[1] = t} IN
        asked # {} => Cardinality(asked) = 1 /\ leaders[t - 1] # {}
OnlyLeadersKnowCommits == \A n \in Node : commit'[n] > commit[n] => role[n] = "leader"

Symmetry == Permutations(Node \ {First})
=============================================================================
