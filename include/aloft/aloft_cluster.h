/* <aloft/aloft.h> in a cluster: link libaloft-cluster besides (pkg-config aloft-cluster). gRPC
   comes with it, and with nothing else. Its rules on ownership, threads and errors are those of
   aloft.h. */
#ifndef ALOFT_ALOFT_CLUSTER_H
#define ALOFT_ALOFT_CLUSTER_H

#include <aloft/aloft.h>

#ifdef __cplusplus
extern "C" {
#endif

/* In place of edges: a cluster gives the runtime one host after the other, and edge 0 is where its
   session is. `managers`: HOST:PORT, several with commas between them; the closest that accepts
   wins. PEM files: whose certificates managers show, and the tenant's own with its key, as
   `aloft cluster init` makes them. NOT_FOUND (no such file), CORRUPT, INVALID_ARGUMENT; nothing is
   connected before a runtime is made, one at a time. */
ALOFT_C_API aloft_code aloft_options_join_cluster(aloft_options* options, const char* managers,
                                                  const char* authority, const char* certificate,
                                                  const char* key, aloft_error** error);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* ALOFT_ALOFT_CLUSTER_H */
