/* A GSSAPI without any mechanism, as RFC 2744 section 5.2 has it: GSS_S_BAD_MECH (1 << 16), no credential. Loaded into every process
 * of the image by /etc/ld.so.preload. libpq asks for credentials before it offers GSS encryption. */
#include <stddef.h>
#include <stdint.h>

uint32_t gss_acquire_cred(uint32_t *minor, void *name, uint32_t time_req, void *mechs, int usage, void **cred, void **actual, uint32_t *time_rec);
uint32_t gss_init_sec_context(uint32_t *minor, void *cred, void **context, void *target, void *mech, uint32_t flags, uint32_t time_req,
			      void *bindings, void *in, void *actual, void *out, uint32_t *ret_flags, uint32_t *time_rec);

uint32_t gss_acquire_cred(uint32_t *minor, void *name, uint32_t time_req, void *mechs, int usage, void **cred, void **actual, uint32_t *time_rec)
{
	(void)name, (void)time_req, (void)mechs, (void)usage, (void)actual, (void)time_rec;
	*minor = 0;
	if (cred != NULL)
		*cred = NULL;
	return 1u << 16;
}

uint32_t gss_init_sec_context(uint32_t *minor, void *cred, void **context, void *target, void *mech, uint32_t flags, uint32_t time_req,
			      void *bindings, void *in, void *actual, void *out, uint32_t *ret_flags, uint32_t *time_rec)
{
	(void)cred, (void)context, (void)target, (void)mech, (void)flags, (void)time_req, (void)bindings, (void)in, (void)actual,
		(void)ret_flags, (void)time_rec;
	*minor = 0;
	/* RFC 2744 5.19: an output token of length zero where there is none to send. */
	if (out != NULL) {
		((size_t *)out)[0] = 0;
		((void **)out)[1] = NULL;
	}
	return 1u << 16;
}
