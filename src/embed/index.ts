// Face of the library: `import { Etcd } from "etcd-ts"`.
export { defaultConfig, type Endpoint, type EtcdConfig } from "./config.ts";
export { Etcd, type EtcdHooks, type EtcdOptions } from "./etcd.ts";
