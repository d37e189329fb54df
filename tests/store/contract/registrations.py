import pytest

from ddnsd.store.interface import Store, UnavailableError
from tests.store.contract.actions import put


async def members(store: Store) -> dict[str, bytes]:
    return {key: item.value for key, item in (await store.snapshot("members/")).items.items()}


class RegistrationContract:
    async def test_registered_key_stands_until_it_is_closed(self, store: Store) -> None:
        one, two = await store.register("one", b"1"), await store.register("two", b"2")
        assert await members(store) == {"members/one": b"1", "members/two": b"2"}
        await one.close()
        await one.close()
        assert await members(store) == {"members/two": b"2"}
        await two.close()
        assert await members(store) == {}

    async def test_registration_is_updated_in_its_place(self, store: Store) -> None:
        registration = await store.register("one", b"1")
        created = (await store.snapshot("members/")).items["members/one"].created
        await registration.update(b"2")
        item = (await store.snapshot("members/")).items["members/one"]
        assert (item.value, item.created) == (b"2", created)
        assert item.revision > created
        await put(store, "hosts/a")
        await registration.close()
        assert await members(store) == {}

    async def test_the_last_to_register_a_name_has_it(self, store: Store) -> None:
        """A node that was killed is back before its lease is over."""
        killed = await store.register("one", b"1")
        back = await store.register("one", b"2")
        await killed.close()
        assert await members(store) == {"members/one": b"2"}
        await back.close()

    async def test_registration_ends_with_the_store(self, store: Store) -> None:
        registration = await store.register("one", b"1")
        await store.close()
        with pytest.raises(UnavailableError):
            await registration.update(b"2")
        with pytest.raises(UnavailableError):
            await store.register("two", b"2")
        await registration.close()
