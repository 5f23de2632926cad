/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A director that stands for one backend, and what it asks of Rust.
 *
 * It is retired when its VCL object goes, but lives until the server's last reference to it does: only
 * then is `destroy` called, and Rust's state freed. Directors that were made before it may have such references:
 * their objects go later.
 */
#include <stdlib.h>

#include "shim.h"
#include "cache/cache_director.h"
#include "vsb.h"

struct vx_director {
	VCL_BACKEND			face;
	/* NULL once it is retired: whoever still has a reference finds it sick. */
	VCL_BACKEND			backend;
	const struct vx_director_calls	*calls;
	void				*state;
};

/* How many of these directors are resolving on this thread, one behind the other. */
static __thread uint32_t resolving;

static VCL_BOOL
director_healthy(VRT_CTX, VCL_BACKEND d, VCL_TIME *changed)
{
	const struct vx_director *self = d->priv;
	double when = 0;
	unsigned healthy = 0;

	if (self->backend != NULL)
		healthy = self->calls->healthy(ctx, self->state, &when);
	/* Always written: the directors of vmod_directors read it whatever the answer. */
	if (changed != NULL)
		*changed = when;
	return (healthy);
}

static VCL_BACKEND
director_resolve(VRT_CTX, VCL_BACKEND d)
{
	const struct vx_director *self = d->priv;
	VCL_BACKEND reached;

	if (self->backend == NULL)
		return (NULL);
	if (!vx_backend_leads_on(self->backend)) {
		if (!self->calls->admits(ctx, self->state, 0))
			return (NULL);
		reached = self->backend;
	} else {
		if (!self->calls->admits(ctx, self->state, resolving))
			return (NULL);
		/* To the end of the way: who is told that it serves knows the backend proper. */
		resolving++;
		reached = VRT_DirectorResolve(ctx, self->backend);
		resolving--;
	}
	if (reached != NULL)
		self->calls->serves(ctx, self->state, reached);
	return (reached);
}

static void
director_list(VRT_CTX, VCL_BACKEND d, struct vsb *vsb, int details, int json)
{
	const struct vx_director *self = d->priv;

	if (self->backend != NULL)
		self->calls->list(ctx, self->state, vsb, details, json);
}

/*
 * Directors may refer to each other: references are dropped before any of them is destroyed. Else the one it stands
 * for would not be on its last reference when its own object goes, which Varnish 7.1 insists on.
 */
static void
director_release(VCL_BACKEND d)
{
	struct vx_director *self = d->priv;

	VRT_Assign_Backend(&self->backend, NULL);
}

static void
director_destroy(VCL_BACKEND d)
{
	struct vx_director *self = d->priv;

	if (self->backend != NULL)
		VRT_Assign_Backend(&self->backend, NULL);
	self->calls->destroy(self->state);
	free(self);
}

static const struct vdi_methods director_methods[1] = {{
	.magic =	VDI_METHODS_MAGIC,
	.type =		"saintmode",
	.healthy =	director_healthy,
	.resolve =	director_resolve,
#if VRT_MAJOR_VERSION >= 17
	.release =	director_release,
#endif
	.destroy =	director_destroy,
	.list =		director_list,
}};

/* NULL if the VCL takes no directors any more (it is cooling) or memory is out: `state` stays the caller's. */
struct vx_director *
vx_director_new(VRT_CTX, const char *name, VCL_BACKEND backend,
    const struct vx_director_calls *calls, void *state)
{
	struct vx_director *self = calloc(1, sizeof *self);

	if (self == NULL)
		return (NULL);
	self->calls = calls;
	self->state = state;
	VRT_Assign_Backend(&self->backend, backend);
	self->face = VRT_AddDirector(ctx, director_methods, self, "%s", name);
	if (self->face == NULL) {
		VRT_Assign_Backend(&self->backend, NULL);
		free(self);
		return (NULL);
	}
	return (self);
}

void
vx_director_retire(struct vx_director *self)
{
	/* A copy: the calls may free `self`, and write through the pointer they are given. */
	VCL_BACKEND face = self->face;

#if VRT_MAJOR_VERSION >= 17
	VRT_DelDirector(&face);
#else
	/*
	 * VRT_DelDirector() insists that the reference of VRT_AddDirector() is the last one, but directors that are
	 * older than this one may have it as a member still. It is a reference like any other, and the last one to go
	 * retires the director, whoever's it is: the server's own backends end in this way. By the end of the VCL, which
	 * insists that no director is left, all of its objects are gone.
	 */
	director_release(face);
	VRT_Assign_Backend(&face, NULL);
#endif
}

VCL_BACKEND
vx_director_face(const struct vx_director *self)
{
	return (self->face);
}

/* As VRT_Healthy() reads it, which does not tell the operator's word from the director's. */
uint32_t
vx_director_admin(const struct vx_director *self)
{
	const struct vdi_ahealth *admin = self->face->vdir->admin_health;

	if (admin == VDI_AH_AUTO)
		return (VX_ADMIN_AUTO);
	return (admin == VDI_AH_HEALTHY ? VX_ADMIN_HEALTHY : VX_ADMIN_SICK);
}

/* Moves "Last change" of backend.list, forward only. */
void
vx_director_changed(const struct vx_director *self, double when)
{
	VRT_SetChanged(self->face, when);
}

/* Whether it is a director, which leads to backends, rather than a backend. */
unsigned
vx_backend_leads_on(VCL_BACKEND backend)
{
	return (backend->vdir->methods->resolve != NULL);
}

/*
 * Has a director ask each of its members for its health: listing does, whereas asking for health ends with the first one
 * that is healthy. The text means nothing.
 */
void
vx_backend_explore(VRT_CTX, VCL_BACKEND backend)
{
	struct vsb *text;
	double changed;

	if (backend->vdir->methods->list == NULL) {
		(void)VRT_Healthy(ctx, backend, &changed);
		return;
	}
	text = VSB_new_auto();
	if (text == NULL)
		return;
	backend->vdir->methods->list(ctx, backend, text, 0, 0);
	VSB_destroy(&text);
}

const char *
vx_backend_name(VCL_BACKEND backend)
{
	return (backend->vcl_name);
}

unsigned
vx_backend_healthy(VRT_CTX, VCL_BACKEND backend, double *changed)
{
	return (VRT_Healthy(ctx, backend, changed));
}

void
vx_vsb_write(struct vsb *vsb, const char *text, size_t len)
{
	(void)VSB_bcat(vsb, text, (ssize_t)len);
}
