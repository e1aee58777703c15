// Time, counted in ticks. Source: Raft thesis, sections 3.4 and 6.2.

import { isPromotable, stand } from "./campaign.ts";
import type { Raft } from "./raft.ts";
import { broadcastHeartbeat } from "./replicate.ts";
import { checkQuorum } from "./step-leader.ts";
import { NO_NODE } from "./types.ts";

/** Lets one tick pass. */
export function tick(r: Raft): void {
  r.electionElapsed++;
  if (r.role === "leader") tickLeader(r);
  else if (isPromotable(r) && r.electionElapsed >= r.randomizedElectionTicks) {
    r.electionElapsed = 0;
    stand(r);
  }
}

function tickLeader(r: Raft): void {
  r.heartbeatElapsed++;
  if (r.electionElapsed >= r.options.electionTicks) {
    r.electionElapsed = 0;
    if (r.options.checkQuorum) {
      checkQuorum(r);
      if (r.role !== "leader") return;
    }
    // A transfer that has not come about by now will not.
    r.leadTransferee = NO_NODE;
  }
  if (r.heartbeatElapsed >= r.options.heartbeatTicks) {
    r.heartbeatElapsed = 0;
    broadcastHeartbeat(r);
  }
}
