// The versions this program speaks for: that of the etcd it stands in for.

/** etcd's version as clients, members and scripts see it. */
export const SERVER_VERSION = "3.7.1";

/** Oldest cluster version this server takes part in. */
export const MIN_CLUSTER_VERSION = "3.0.0";
